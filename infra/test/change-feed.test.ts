// Does every new event reach the event-handler, in order, and does one that fails let the others pass?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { only, say } from './synthesized.ts';

test('the mapping has exactly these properties', () => {
  const { DestinationConfig, EventSourceArn, FilterCriteria, FunctionName, ...settings } = only(
    'AWS::Lambda::EventSourceMapping',
  ).Properties;
  assert.equal(say(EventSourceArn), '${order_stream.StreamArn}');
  assert.equal(say(FunctionName), '${event-handler}');
  assert.equal(say(DestinationConfig.OnFailure.Destination), '${failure queue.Arn}');
  assert.deepEqual(
    FilterCriteria.Filters.map(({ Pattern }: { Pattern: string }) => JSON.parse(Pattern)),
    [{ eventName: ['INSERT'] }],
  );
  // No window, no limit on retries and age: what is left out is Lambda's default.
  assert.deepEqual(settings, {
    BatchSize: 100,
    BisectBatchOnFunctionError: true,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ParallelizationFactor: 1,
    StartingPosition: 'TRIM_HORIZON',
  });
});

test('the failure queue keeps what it gets for two weeks, encrypted', () => {
  assert.deepEqual(only('AWS::SQS::Queue').Properties, {
    MessageRetentionPeriod: 1_209_600,
    SqsManagedSseEnabled: true,
  });
});

test('the failure queue is spoken to over TLS only', () => {
  const [statement, ...others] = only('AWS::SQS::QueuePolicy').Properties['PolicyDocument'].Statement;
  assert.deepEqual(others, []);
  const { Resource, ...denial } = statement;
  assert.equal(say(Resource), '${failure queue.Arn}');
  assert.deepEqual(denial, {
    Action: 'sqs:*',
    Condition: { Bool: { 'aws:SecureTransport': 'false' } },
    Effect: 'Deny',
    Principal: { AWS: '*' },
  });
});
