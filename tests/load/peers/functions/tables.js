// DynamoDB, as a team that writes JavaScript reaches it.
// Owns: the client.
// Must not know: the tables.
// Source: the SDK's document client.
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';

export const tables = DynamoDBDocumentClient.from(new DynamoDBClient({}), {
  marshallOptions: { removeUndefinedValues: true },
});
