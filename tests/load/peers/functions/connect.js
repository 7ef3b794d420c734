// `$connect` in JavaScript: it records the connection.
// Owns: what the function `connect` owns.
// Must not know: subscriptions.
// Source: docs/tables.md
import { PutCommand } from '@aws-sdk/lib-dynamodb';
import { tables } from './tables.js';

export const handler = async ({ requestContext }) => {
  const { connectionId, connectedAt, authorizer } = requestContext;
  const expiresAt = Math.floor(connectedAt / 1000) + 2 * 60 * 60 + 10 * 60;
  const Item = { connectionId, principalId: authorizer?.principalId ?? 'anonymous', connectedAt, expiresAt };
  await tables.send(new PutCommand({ TableName: 'connections', Item }));
  return { statusCode: 200 };
};
