// `$disconnect` in JavaScript: it forgets the connection and its subscriptions.
// Owns: what the function `disconnect` owns.
// Must not know: messages.
// Source: docs/tables.md
import { BatchWriteCommand, DeleteCommand, QueryCommand } from '@aws-sdk/lib-dynamodb';
import { tables } from './tables.js';

export const handler = async ({ requestContext: { connectionId } }) => {
  let ExclusiveStartKey;
  do {
    const page = await tables.send(new QueryCommand({
      TableName: 'subscriptions',
      IndexName: 'subscriptions_by_connection',
      KeyConditionExpression: 'connectionId = :connectionId',
      ExpressionAttributeValues: { ':connectionId': connectionId },
      ExclusiveStartKey,
    }));
    for (let at = 0; at < page.Items.length; at += 25) {
      const keys = page.Items.slice(at, at + 25).map(({ orderId }) => ({ DeleteRequest: { Key: { orderId, connectionId } } }));
      await tables.send(new BatchWriteCommand({ RequestItems: { subscriptions: keys } }));
    }
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  await tables.send(new DeleteCommand({ TableName: 'connections', Key: { connectionId } }));
  return { statusCode: 200 };
};
