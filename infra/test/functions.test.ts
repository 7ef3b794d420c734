// Is each function the program, with the time and the environment, that it is meant to be?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { functions, resources, say, template } from './synthesized.ts';

const timeouts = { authorizer: 5, connect: 5, disconnect: 5, 'event-handler': 60, 'fan-out': 20, 'fauna-feed': 70, subscribe: 29 };
/** Who pushes to many has a processor of its own. */
const memory = {
  authorizer: 256,
  connect: 256,
  disconnect: 256,
  'event-handler': 1_769,
  'fan-out': 1_769,
  // It holds a page of FaunaDB whole.
  'fauna-feed': 512,
  subscribe: 256,
};

const everything = {
  CONNECTIONS_TABLE: '${connections}',
  MANAGEMENT_ENDPOINT: 'https://${api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${StageName}',
  ORDER_PROJECTIONS_TABLE: '${order_projections}',
  ORDER_STREAM_TABLE: '${order_stream}',
  PUSH_PROCESSES_MAX: '10',
  REDACTED_FIELDS: '${RedactedFields}',
  REQUESTS_PER_SECOND: '${RequestsPerSecond}',
  SUBSCRIPTIONS_TABLE: '${subscriptions}',
};
const environments = {
  authorizer: { JWKS_URL: '${JwksUrl}', JWT_AUDIENCE: '${JwtAudience}', JWT_ISSUER: '${JwtIssuer}' },
  connect: { ALLOWED_ORIGINS: '${AllowedOrigins}', CONNECTIONS_TABLE: '${connections}' },
  disconnect: { CONNECTIONS_TABLE: '${connections}', SUBSCRIPTIONS_TABLE: '${subscriptions}' },
  'event-handler': {
    ...everything,
    FAILURE_QUEUE_URL: '${failure queue}',
    ORDER_QUEUE_URL: '${order queue}',
    PAGE_QUEUE_URL: '${page queue}',
    PUSH_PROCESSES_MAX: '4',
  },
  'fan-out': { ...everything, FAILURE_QUEUE_URL: '${failure queue}', PAGE_QUEUE_URL: '${page queue}' },
  'fauna-feed': {
    FAILURE_QUEUE_URL: '${failure queue}',
    FAUNA_COLLECTION: '${FaunaCollection}',
    FAUNA_ENDPOINT: '${FaunaEndpoint}',
    FAUNA_FEED_TABLE: '${fauna_feed}',
    FAUNA_SECRET_ARN: '${FaunaKeyArn}',
    ORDER_STREAM_TABLE: '${order_stream}',
  },
  subscribe: { ...everything, SUBSCRIPTIONS_MAX: '${SubscriptionsMax}' },
};

test('there are seven functions', () => {
  assert.deepEqual([...functions().keys()].sort(), Object.keys(timeouts));
});

for (const [handler, timeout] of Object.entries(timeouts) as [keyof typeof memory, number][]) {
  test(`${handler} is a Rust program for arm64 with its own time and memory, traced, without reserved concurrency`, () => {
    const { Code, Environment, LoggingConfig, Role, ...settings } = functions().get(handler)!.Properties;
    assert.deepEqual(settings, {
      Architectures: ['arm64'],
      Handler: handler,
      MemorySize: memory[handler],
      Runtime: 'provided.al2023',
      Timeout: timeout,
      TracingConfig: { Mode: 'Active' },
    });
    assert.deepEqual(Code, { S3Bucket: { Ref: 'ArtefactBucket' }, S3Key: `${handler}.zip` });
  });

  test(`${handler} writes a log of its own that is kept for two weeks`, () => {
    const { LogGroup } = functions().get(handler)!.Properties['LoggingConfig'];
    assert.equal(template.Resources[LogGroup.Ref]!.Properties['RetentionInDays'], 14);
  });
}

test('no two functions share a log', () => {
  // One more is the access log of the gateway.
  assert.equal(resources('AWS::Logs::LogGroup').length, functions().size + 1);
});

for (const [handler, environment] of Object.entries(environments)) {
  test(`${handler} has exactly its environment`, () => {
    const { Variables } = functions().get(handler)!.Properties['Environment'];
    assert.deepEqual(
      Object.fromEntries(Object.entries(Variables).map(([variable, value]) => [variable, say(value)])),
      environment,
    );
  });
}
