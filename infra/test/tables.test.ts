// Do the tables have the keys, feeds and lifetimes that design.md promises?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { resources, table } from './synthesized.ts';

const key = (partition: string, sort?: string) => [
  { AttributeName: partition, KeyType: 'HASH' },
  ...(sort === undefined ? [] : [{ AttributeName: sort, KeyType: 'RANGE' }]),
];
const attributes = (types: Record<string, 'S' | 'N'>) =>
  Object.entries(types).map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType }));

test('there are four tables, and a fifth with a feed of FaunaDB', () => {
  assert.deepEqual(
    resources('AWS::DynamoDB::Table')
      .map(([, { Properties }]) => Properties['TableName'])
      .sort(),
    ['connections', 'fauna_feed', 'order_projections', 'order_stream', 'subscriptions'],
  );
});

test('order_stream is keyed by order and version, is found by ref, feeds its new images, is backed up and not deleted', () => {
  assert.deepEqual(table('order_stream').Properties, {
    TableName: 'order_stream',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: attributes({ orderId: 'S', version: 'N', ref: 'S' }),
    KeySchema: key('orderId', 'version'),
    LocalSecondaryIndexes: [
      {
        IndexName: 'order_events_by_ref',
        KeySchema: key('orderId', 'ref'),
        Projection: { ProjectionType: 'KEYS_ONLY' },
      },
    ],
    StreamSpecification: { StreamViewType: 'NEW_IMAGE' },
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    DeletionProtectionEnabled: true,
  });
});

test('order_projections is keyed by order, is backed up and not deleted', () => {
  assert.deepEqual(table('order_projections').Properties, {
    TableName: 'order_projections',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: attributes({ orderId: 'S' }),
    KeySchema: key('orderId'),
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
    DeletionProtectionEnabled: true,
  });
});

test('connections is keyed by connection and expires', () => {
  assert.deepEqual(table('connections').Properties, {
    TableName: 'connections',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: attributes({ connectionId: 'S' }),
    KeySchema: key('connectionId'),
    TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
  });
});

test('subscriptions is keyed by order and connection, is found by connection and expires', () => {
  assert.deepEqual(table('subscriptions').Properties, {
    TableName: 'subscriptions',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: attributes({ orderId: 'S', connectionId: 'S' }),
    KeySchema: key('orderId', 'connectionId'),
    GlobalSecondaryIndexes: [
      {
        IndexName: 'subscriptions_by_connection',
        KeySchema: key('connectionId'),
        Projection: { ProjectionType: 'KEYS_ONLY' },
      },
    ],
    TimeToLiveSpecification: { AttributeName: 'expiresAt', Enabled: true },
  });
});

test('the log and the projections outlive the stack, the connections and subscriptions do not', () => {
  for (const [name, policy] of [
    ['order_stream', 'Retain'],
    ['order_projections', 'Retain'],
    ['connections', 'Delete'],
    ['subscriptions', 'Delete'],
  ] as const) {
    assert.equal(table(name).DeletionPolicy, policy, name);
    assert.equal(table(name).UpdateReplacePolicy, policy, name);
  }
});
