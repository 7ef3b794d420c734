// Does every new event reach the event-handler, in order, and does one that fails let the others pass?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { mapping, queue, resources, say } from './synthesized.ts';

test('the mapping has exactly these properties', () => {
  const { DestinationConfig, EventSourceArn, FilterCriteria, FunctionName, ...settings } =
    mapping('${order_stream.StreamArn}', 'event-handler').Properties;
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
  assert.deepEqual(queue('failure queue').Properties, {
    MessageRetentionPeriod: 1_209_600,
    SqsManagedSseEnabled: true,
  });
});

test('a page is taken alone, ten at once, and retried until each of its connections has ended', () => {
  const { EventSourceArn, FunctionName, ...settings } = mapping('${page queue.Arn}', 'fan-out').Properties;
  assert.deepEqual(settings, {
    BatchSize: 1,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: 10 },
  });
  const { RedrivePolicy, ...properties } = queue('page queue').Properties;
  assert.deepEqual(properties, { MessageRetentionPeriod: 10_800, SqsManagedSseEnabled: true, VisibilityTimeout: 60 });
  // A try a minute, for the two hours that a connection lives at the longest; the message outlives them all.
  assert.equal(RedrivePolicy.maxReceiveCount * properties['VisibilityTimeout'], 7_200);
  assert.equal(say(RedrivePolicy.deadLetterTargetArn), '${failure queue.Arn}');
});

test('a deferred order is taken alone, a few at once, apart from the change feed', () => {
  const { EventSourceArn, FunctionName, ...settings } = mapping('${order queue.Arn}', 'event-handler').Properties;
  assert.deepEqual(settings, {
    BatchSize: 1,
    FunctionResponseTypes: ['ReportBatchItemFailures'],
    ScalingConfig: { MaximumConcurrency: 5 },
  });
  const { RedrivePolicy, ...properties } = queue('order queue').Properties;
  assert.deepEqual(properties, { MessageRetentionPeriod: 86_400, SqsManagedSseEnabled: true, VisibilityTimeout: 120 });
  assert.equal(RedrivePolicy.maxReceiveCount, 180);
  assert.equal(say(RedrivePolicy.deadLetterTargetArn), '${failure queue.Arn}');
});

test('the queues are spoken to over TLS only', () => {
  const policies = resources('AWS::SQS::QueuePolicy').map(([, { Properties }]) => {
    const [{ Resource, ...denial }, ...others] = Properties['PolicyDocument'].Statement;
    assert.deepEqual(others, []);
    assert.deepEqual(denial, {
      Action: 'sqs:*',
      Condition: { Bool: { 'aws:SecureTransport': 'false' } },
      Effect: 'Deny',
      Principal: { AWS: '*' },
    });
    return say(Resource);
  });
  assert.deepEqual(policies.sort(), ['${failure queue.Arn}', '${order queue.Arn}', '${page queue.Arn}']);
});
