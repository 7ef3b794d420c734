// The event handler in JavaScript: it folds a batch, stores the projections and pushes the updates.
// Owns: what the function `event-handler` does with events that come in order.
// Must not know: how a browser subscribed.
// Source: docs/tables.md, docs/guarantee.md
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { GetCommand, PutCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { serve } from './runtime.js';
import { tables } from './tables.js';
import { shown } from './update.js';

const posts = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT });

function merge(projection, data) {
  for (const [name, value] of Object.entries(data)) {
    if (value === null) delete projection[name];
    else projection[name] = value;
  }
  return projection;
}

async function subscribers(orderId) {
  const found = [];
  let ExclusiveStartKey;
  do {
    const page = await tables.send(new QueryCommand({
      TableName: 'subscriptions',
      KeyConditionExpression: 'orderId = :orderId',
      ExpressionAttributeValues: { ':orderId': orderId },
      ConsistentRead: true,
      ExclusiveStartKey,
    }));
    found.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  return found;
}

async function fold(orderId, events) {
  const Key = { orderId };
  const { Item } = await tables.send(new GetCommand({ TableName: 'order_projections', Key, ConsistentRead: true }));
  const before = Item?.version ?? 0;
  const projection = events.reduce((folded, { data }) => merge(folded, data), Item?.projection ?? {});
  const version = events.at(-1).version;
  await tables.send(new PutCommand({
    TableName: 'order_projections',
    Item: { orderId, version, projection, updatedAt: Date.now() },
    ConditionExpression: before === 0 ? 'attribute_not_exists(orderId)' : 'version = :before',
    ...(before === 0 ? {} : { ExpressionAttributeValues: { ':before': before } }),
  }));
  const Data = JSON.stringify({ type: 'update', orderId, version, events: shown(events), projection: shown(projection) });
  const all = await subscribers(orderId);
  await Promise.all(all.map(({ connectionId: ConnectionId }) => posts.send(new PostToConnectionCommand({ ConnectionId, Data }))));
}

await serve(async ({ Records }) => {
  const orders = new Map();
  for (const { dynamodb } of Records) {
    const { orderId, version, ref, ts, data } = unmarshall(dynamodb.NewImage);
    orders.set(orderId, [...(orders.get(orderId) ?? []), { version, ref, ts, data }]);
  }
  await Promise.all([...orders].map(([orderId, events]) => fold(orderId, events)));
  return { batchItemFailures: [] };
});
