// A subscribe message in JavaScript: it takes room, records the subscription and answers with the projection.
// Owns: what the function `subscribe` does for one order.
// Must not know: the change feed.
// Source: docs/tables.md, shared/protocol/README.md
import { GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import { tables } from './tables.js';
import { shown } from './update.js';

// An answer of several frames is posted; this one is the route response.
export const posts = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT });

export const handler = async ({ requestContext, body }) => {
  const { connectionId, connectedAt, authorizer } = requestContext;
  const { orderId } = JSON.parse(body);
  await tables.send(new UpdateCommand({
    TableName: 'connections',
    Key: { connectionId },
    UpdateExpression: 'ADD orders :order',
    ConditionExpression: 'attribute_not_exists(orders) OR size(orders) < :max OR contains(orders, :orderId)',
    ExpressionAttributeValues: { ':order': new Set([orderId]), ':max': 100, ':orderId': orderId },
  }));
  const expiresAt = Math.floor(connectedAt / 1000) + 2 * 60 * 60 + 10 * 60;
  const Item = { orderId, connectionId, principalId: authorizer?.principalId ?? 'anonymous', readsAll: true, expiresAt };
  await tables.send(new PutCommand({ TableName: 'subscriptions', Item }));
  const { Item: stored } = await tables.send(
    new GetCommand({ TableName: 'order_projections', Key: { orderId }, ConsistentRead: true }),
  );
  const { version, projection } = stored ?? { version: 0, projection: {} };
  return { statusCode: 200, body: JSON.stringify({ type: 'update', orderId, version, events: [], projection: shown(projection) }) };
};
