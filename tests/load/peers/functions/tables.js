// DynamoDB, as a team that writes JavaScript reaches it.
// Owns: the client, and a query with all its pages.
// Must not know: the tables.
// Source: the SDK's document client.
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, QueryCommand } from '@aws-sdk/lib-dynamodb';

export const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}), {
  marshallOptions: { removeUndefinedValues: true },
});

export async function query(TableName, KeyConditionExpression, ExpressionAttributeValues) {
  const found = [];
  let ExclusiveStartKey;
  do {
    const page = await tables.send(new QueryCommand({
      TableName, KeyConditionExpression, ExpressionAttributeValues, ConsistentRead: true, ExclusiveStartKey,
    }));
    found.push(...page.Items);
    ExclusiveStartKey = page.LastEvaluatedKey;
  } while (ExclusiveStartKey);
  return found;
}
