// The event handler in JavaScript: it folds a batch, stores the projections and pushes the updates.
// Owns: what the function `event-handler` does with events that come in order.
// Must not know: how a browser subscribed.
// Source: docs/tables.md, docs/guarantee.md
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { GetCommand, PutCommand } from '@aws-sdk/lib-dynamodb';
import { push } from './push.js';
import { query, tables } from './tables.js';

function merge(projection, data) {
  for (const [name, value] of Object.entries(data)) {
    if (value === null) delete projection[name];
    else projection[name] = value;
  }
  return projection;
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
  const subscribers = await query('subscriptions', 'orderId = :orderId', { ':orderId': orderId });
  await push(orderId, events, { version, projection }, subscribers);
}

export const handler = async ({ Records }) => {
  const orders = new Map();
  for (const { dynamodb } of Records) {
    const { orderId, version, ref, ts, data } = unmarshall(dynamodb.NewImage);
    orders.set(orderId, [...(orders.get(orderId) ?? []), { version, ref, ts, data }]);
  }
  await Promise.all([...orders].map(([orderId, events]) => fold(orderId, events)));
  return { batchItemFailures: [] };
};
