// May each function do what it has to, and nothing else? Are its rights its crate's dependencies?
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { functions, only, type Resource, resources, rights, role, template } from './synthesized.ts';

const connections = 'arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${api}/${StageName}';
const log = (handler: string) => [
  `logs:CreateLogStream on \${log of ${handler}.Arn}`,
  `logs:PutLogEvents on \${log of ${handler}.Arn}`,
];

/** For each function's traces, which have no resource of their own. */
const traces = ['xray:PutTelemetryRecords on *', 'xray:PutTraceSegments on *'];

const expected = {
  authorizer: log('authorizer'),
  connect: ['dynamodb:PutItem on ${connections.Arn}', ...log('connect')],
  disconnect: [
    'dynamodb:BatchWriteItem on ${subscriptions.Arn}',
    'dynamodb:DeleteItem on ${connections.Arn}',
    'dynamodb:DeleteItem on ${subscriptions.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}/index/subscriptions_by_connection',
    ...log('disconnect'),
  ],
  'fauna-feed': [
    'dynamodb:GetItem on ${fauna_feed.Arn}',
    'dynamodb:PutItem on ${fauna_feed.Arn}',
    'dynamodb:PutItem on ${order_stream.Arn}',
    'dynamodb:Query on ${order_stream.Arn}',
    'dynamodb:Query on ${order_stream.Arn}/index/order_events_by_ref',
    'dynamodb:UpdateItem on ${fauna_feed.Arn}',
    ...log('fauna-feed'),
    'secretsmanager:GetSecretValue on ${FaunaKeyArn}',
    'sqs:SendMessage on ${failure queue.Arn}',
  ],
  subscribe: [
    'dynamodb:BatchGetItem on ${order_projections.Arn}',
    'dynamodb:BatchWriteItem on ${subscriptions.Arn}',
    'dynamodb:DeleteItem on ${connections.Arn}',
    'dynamodb:DeleteItem on ${subscriptions.Arn}',
    'dynamodb:GetItem on ${order_projections.Arn}',
    'dynamodb:PutItem on ${subscriptions.Arn}',
    'dynamodb:Query on ${order_stream.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}/index/subscriptions_by_connection',
    'dynamodb:UpdateItem on ${connections.Arn}',
    `execute-api:ManageConnections on ${connections}/DELETE/@connections/*`,
    `execute-api:ManageConnections on ${connections}/POST/@connections/*`,
    ...log('subscribe'),
  ],
  'event-handler': [
    'dynamodb:BatchWriteItem on ${subscriptions.Arn}',
    'dynamodb:DeleteItem on ${connections.Arn}',
    'dynamodb:DeleteItem on ${subscriptions.Arn}',
    'dynamodb:DescribeStream on ${order_stream.StreamArn}',
    'dynamodb:GetItem on ${order_projections.Arn}',
    'dynamodb:GetRecords on ${order_stream.StreamArn}',
    'dynamodb:GetShardIterator on ${order_stream.StreamArn}',
    'dynamodb:ListStreams on ${order_stream.StreamArn}',
    'dynamodb:PutItem on ${order_projections.Arn}',
    'dynamodb:Query on ${order_stream.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}/index/subscriptions_by_connection',
    'dynamodb:UpdateItem on ${connections.Arn}',
    `execute-api:ManageConnections on ${connections}/DELETE/@connections/*`,
    `execute-api:ManageConnections on ${connections}/GET/@connections/*`,
    `execute-api:ManageConnections on ${connections}/POST/@connections/*`,
    ...log('event-handler'),
    'sqs:DeleteMessage on ${order queue.Arn}',
    'sqs:GetQueueAttributes on ${order queue.Arn}',
    'sqs:ReceiveMessage on ${order queue.Arn}',
    'sqs:SendMessage on ${failure queue.Arn}',
    'sqs:SendMessage on ${order queue.Arn}',
    'sqs:SendMessage on ${page queue.Arn}',
  ],
  'fan-out': [
    'dynamodb:BatchWriteItem on ${subscriptions.Arn}',
    'dynamodb:DeleteItem on ${connections.Arn}',
    'dynamodb:DeleteItem on ${subscriptions.Arn}',
    'dynamodb:GetItem on ${order_projections.Arn}',
    'dynamodb:Query on ${order_stream.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}',
    'dynamodb:Query on ${subscriptions.Arn}/index/subscriptions_by_connection',
    'dynamodb:UpdateItem on ${connections.Arn}',
    `execute-api:ManageConnections on ${connections}/DELETE/@connections/*`,
    `execute-api:ManageConnections on ${connections}/GET/@connections/*`,
    `execute-api:ManageConnections on ${connections}/POST/@connections/*`,
    ...log('fan-out'),
    'sqs:DeleteMessage on ${page queue.Arn}',
    'sqs:GetQueueAttributes on ${page queue.Arn}',
    'sqs:ReceiveMessage on ${page queue.Arn}',
    'sqs:SendMessage on ${failure queue.Arn}',
    'sqs:SendMessage on ${page queue.Arn}',
  ],
};

for (const [handler, rightsOfHandler] of Object.entries(expected)) {
  test(`${handler} has exactly its rights`, () => {
    assert.deepEqual(rights(functions().get(handler)!), [...rightsOfHandler, ...traces]);
  });
}

test('every right of a function stands in a role of its own, which Lambda alone may take on', () => {
  assert.deepEqual(
    ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy', 'AWS::IAM::RolePolicy'].flatMap(resources),
    [],
  );
  const roles = resources('AWS::IAM::Role')
    .map(([, resource]) => resource)
    .filter((resource) => resource !== accessLogRole());
  assert.deepEqual(new Set(roles), new Set([...functions().values()].map(role)));
  assert.equal(roles.length, functions().size);
  for (const { Properties } of roles) {
    assert.deepEqual(Object.keys(Properties).sort(), ['AssumeRolePolicyDocument', 'Policies']);
    assert.deepEqual(Properties['AssumeRolePolicyDocument'].Statement, [
      { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'lambda.amazonaws.com' } },
    ]);
  }
});

/** The role by which API Gateway writes access logs. */
function accessLogRole(): Resource {
  return template.Resources[only('AWS::ApiGateway::Account').Properties['CloudWatchRoleArn']['Fn::GetAtt'][0]]!;
}

test('API Gateway may write logs, and stays able to when the stack is deleted', () => {
  const { DeletionPolicy, Properties } = accessLogRole();
  assert.deepEqual([DeletionPolicy, only('AWS::ApiGateway::Account').DeletionPolicy], ['Retain', 'Retain']);
  assert.deepEqual(Properties['AssumeRolePolicyDocument'].Statement, [
    { Action: 'sts:AssumeRole', Effect: 'Allow', Principal: { Service: 'apigateway.amazonaws.com' } },
  ]);
  const [{ PolicyDocument }, ...others] = Properties['Policies'];
  assert.deepEqual(others, []);
  for (const { Action } of PolicyDocument.Statement) for (const action of Action) assert.match(action, /^logs:/);
});

/** The crates in functions/, each with the names of what it depends on outside of its tests. */
function functionCrates(): Map<string, Set<string>> {
  const folder = join(import.meta.dirname, '..', '..');
  const metadata = execFileSync('cargo', ['metadata', '--no-deps', '--format-version', '1'], {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 16 * 1024 * 1024,
  });
  const crates: { name: string; manifest_path: string; dependencies: { name: string; kind: string | null }[] }[] =
    JSON.parse(metadata).packages;
  return new Map(
    crates
      .filter(({ manifest_path }) => manifest_path.startsWith(join(folder, 'functions/')))
      .map(({ name, dependencies }) => [
        name,
        new Set(dependencies.filter(({ kind }) => kind === null).map((dependency) => dependency.name)),
      ]),
  );
}

test('a function has the rights that its crate has the dependencies to use, and only those', () => {
  const crates = functionCrates();
  assert.deepEqual([...crates.keys()].sort(), [...functions().keys()].sort(), 'each crate in functions/ is deployed');
  for (const [handler, lambda] of functions()) {
    const dependencies = crates.get(handler)!;
    // A mapping reads the change feed or a queue in the function's name: no right of the function's own code.
    const isMappings = (right: string) =>
      right.endsWith('.StreamArn}') || /^sqs:(DeleteMessage|GetQueueAttributes|ReceiveMessage) /.test(right);
    const own = rights(lambda).filter((right) => !isMappings(right));
    for (const [crate, service] of [
      ['queues', 'sqs:'],
      ['push', 'execute-api:'],
      ['store', 'dynamodb:'],
    ] as const) {
      assert.equal(
        own.some((right) => right.startsWith(service)),
        dependencies.has(crate),
        `${handler} has rights to ${service}* and depends on ${crate}, or neither`,
      );
    }
  }
});
