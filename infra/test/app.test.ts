// Is what `npx cdk deploy` takes made of the same constructs as template.json, with the state apart, and as the settings say?
import { strict as assert } from 'node:assert';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { deployed, ofType, program } from './app.ts';
import { functions, template } from './synthesized.ts';

const STREAM = 'arn:aws:dynamodb:eu-west-1:123456789012:table/shop_orders/stream/2026-01-01T00:00:00.000';
const PROJECTIONS = 'arn:aws:dynamodb:eu-west-1:123456789012:table/shop_projections';

/** How many resources of each type there are. */
function census(...templates: { Resources: Record<string, { Type: string }> }[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { Type } of templates.flatMap(({ Resources }) => Object.values(Resources))) {
    counts[Type] = (counts[Type] ?? 0) + 1;
  }
  return counts;
}

test('without cargo-lambda and without artefacts it synthesizes all the same, and says so', () => {
  const { root, state } = program({});
  assert.ok('ArtefactBucket' in root.Parameters);
  assert.ok(state !== undefined);
});

test('what is deployed is what template.json has, but for the nested stack of the state', () => {
  const { root, state } = deployed();
  const { 'AWS::CloudFormation::Stack': nested, ...others } = census(root, state!);
  assert.equal(nested, 1);
  assert.deepEqual(others, census(template));
  assert.deepEqual(Object.keys(root.Outputs).sort(), Object.keys(template.Outputs).sort());
});

test('the log and the projections are alone in the nested stack, kept, and not to be deleted', () => {
  const { state, isProtected } = deployed();
  assert.deepEqual(
    Object.values(state!.Resources)
      .map(({ Type, Properties, DeletionPolicy }) => [Type, Properties['TableName'], Properties['DeletionProtectionEnabled'], DeletionPolicy])
      .sort(),
    [
      ['AWS::DynamoDB::Table', 'order_projections', true, 'Retain'],
      ['AWS::DynamoDB::Table', 'order_stream', true, 'Retain'],
    ],
  );
  assert.ok(isProtected, 'the root stack is protected, and so the nested one');
});

test('FOLDCAST_ARTEFACTS takes the programs from a folder, and asks for no bucket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foldcast-artefacts-'));
  try {
    for (const name of functions().keys()) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'bootstrap'), name);
    }
    const { root } = program({ FOLDCAST_ARTEFACTS: folder });
    assert.doesNotMatch(JSON.stringify(root), /ArtefactBucket/);
    const keys = ofType(root, 'AWS::Lambda::Function').map(([, { Properties }]) => Properties['Code'].S3Key);
    for (const key of keys) assert.match(key, /^[0-9a-f]{64}\.zip$/);
    assert.equal(new Set(keys).size, functions().size, 'each function has a file of its own');
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a log that exists is read and fed from, and none is made', () => {
  const { root, state } = deployed({ 'foldcast:eventLogStreamArn': STREAM });
  assert.deepEqual(Object.values(state!.Resources).map(({ Properties }) => Properties['TableName']), ['order_projections']);
  const sources = ofType(root, 'AWS::Lambda::EventSourceMapping').map(([, { Properties }]) => Properties['EventSourceArn']);
  assert.equal(sources.filter((source) => source === STREAM).length, 1);
  const variables = ofType(root, 'AWS::Lambda::Function').map(([, { Properties }]) => Properties['Environment'].Variables);
  assert.deepEqual(variables.map(({ ORDER_STREAM_TABLE }) => ORDER_STREAM_TABLE).filter(Boolean), Array(4).fill('shop_orders'));
  assert.equal(root.Outputs['OrderStreamTable'].Value, 'shop_orders');
});

test('with both tables given there is no state of its own', () => {
  const { root, state } = deployed({ 'foldcast:eventLogStreamArn': STREAM, 'foldcast:projectionsTableArn': PROJECTIONS });
  assert.equal(state, undefined);
  assert.deepEqual(ofType(root, 'AWS::CloudFormation::Stack'), []);
  assert.equal(root.Outputs['OrderProjectionsTable'].Value, 'shop_projections');
});

test('executions are kept for the change feed and bounded for messages as the settings say', () => {
  const concurrency = (settings: Record<string, string>) =>
    Object.fromEntries(
      ofType(deployed(settings).root, 'AWS::Lambda::Function').map(([, { Properties }]) => [
        Properties['Handler'],
        Properties['ReservedConcurrentExecutions'],
      ]),
    );
  const given = concurrency({ 'foldcast:eventHandlerConcurrency': '50', 'foldcast:subscribeConcurrency': '300' });
  assert.deepEqual([given['event-handler'], given['subscribe'], given['connect']], [50, 300, undefined]);
});

test('a domain is the address, and the output says where its record points', () => {
  const { root } = deployed({
    'foldcast:domainName': 'push.shop.example',
    'foldcast:certificateArn': 'arn:aws:acm:eu-west-1:123456789012:certificate/abc',
  });
  assert.equal(root.Outputs['WebSocketUrl'].Value, 'wss://push.shop.example');
  const [[id, { Properties }]] = ofType(root, 'AWS::ApiGatewayV2::DomainName') as [[string, any]];
  assert.deepEqual([Properties.DomainName, Properties.DomainNameConfigurations[0].SecurityPolicy], ['push.shop.example', 'TLS_1_2']);
  assert.deepEqual(root.Outputs['DomainTarget'].Value, { 'Fn::GetAtt': [id, 'RegionalDomainName'] });
  assert.equal(ofType(root, 'AWS::ApiGatewayV2::ApiMapping').length, 1);
  // @connections stays at API Gateway's own address.
  assert.match(JSON.stringify(root.Outputs['ManagementEndpoint'].Value), /execute-api/);
});

test('logs are kept and routes throttled as the settings say', () => {
  const { root } = deployed({ 'foldcast:logRetentionDays': '365', 'foldcast:throttleRate': 100, 'foldcast:throttleBurst': 50 });
  for (const [, { Properties }] of ofType(root, 'AWS::Logs::LogGroup')) assert.equal(Properties['RetentionInDays'], 365);
  const [[, { Properties }]] = ofType(root, 'AWS::ApiGatewayV2::Stage') as [[string, any]];
  assert.deepEqual(Properties.DefaultRouteSettings, { ThrottlingBurstLimit: 50, ThrottlingRateLimit: 100 });
});

for (const [settings, reason] of [
  [{ 'foldcast:domain': 'x' }, /there is no setting foldcast:domain: there are .*foldcast:domainName/],
  [{ 'foldcast:domainName': 'push.shop.example' }, /foldcast:domainName and foldcast:certificateArn go together/],
  [{ 'foldcast:throttleRate': '5', 'foldcast:throttleBurst': '0' }, /foldcast:throttleBurst must be a number of requests, and not 0/],
  [{ 'foldcast:eventLogStreamArn': PROJECTIONS }, /foldcast:eventLogStreamArn must be the ARN of a stream of a table/],
  [{ 'foldcast:logRetentionDays': '15' }, /foldcast:logRetentionDays must be a number of days that CloudWatch has/],
  [{ 'foldcast:alarmTopicArn': 'alarms' }, /foldcast:alarmTopicArn must be the ARN of a topic/],
] as const) {
  test(`a setting that is wrong is refused: ${JSON.stringify(settings)}`, () => {
    assert.throws(() => deployed(settings), reason);
  });
}
