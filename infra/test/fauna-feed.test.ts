// Is there a feed of FaunaDB when its address is given, and then alone? Is it invoked each minute, and found out when it fails?
import { strict as assert } from 'node:assert';
import { test } from 'node:test';
import { functions, only, resources, role, say, table, template, text } from './synthesized.ts';

const conditions: Record<string, unknown> = (template as unknown as { Conditions: Record<string, unknown> }).Conditions;

test('everything of the feed is made if an address is given, and nothing else waits for it', () => {
  assert.deepEqual(conditions, { FaunaFeedIsOn: { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'FaunaEndpoint' }, ''] }] } });
  for (const [id, { Condition }] of Object.entries(template.Resources)) {
    assert.equal(Condition, id.startsWith('FaunaFeed') ? 'FaunaFeedIsOn' : undefined, id);
  }
  assert.equal(role(functions().get('fauna-feed')!).Condition, 'FaunaFeedIsOn');
  assert.equal(template.Parameters['FaunaEndpoint'].Default, '');
});

test('an address without a key is refused before anything is made', () => {
  const { FaunaKeyIsNamed } = JSON.parse(text).Rules;
  assert.deepEqual(FaunaKeyIsNamed.RuleCondition, conditions['FaunaFeedIsOn']);
  const noSecret = template.Parameters['FaunaKeyArn'].Default;
  assert.deepEqual(FaunaKeyIsNamed.Assertions.map(({ Assert }: any) => Assert), [
    { 'Fn::Not': [{ 'Fn::Equals': [{ Ref: 'FaunaKeyArn' }, noSecret] }] },
  ]);
});
test('the feed is invoked each minute, and what fails is not tried again beside the next minute', () => {
  const { ScheduleExpression, State, Targets } = only('AWS::Events::Rule').Properties;
  assert.deepEqual([ScheduleExpression, State], ['rate(1 minute)', 'ENABLED']);
  assert.deepEqual(Targets.map((target: any) => say(target.Arn)), ['${fauna-feed.Arn}']);
  const { MaximumRetryAttempts, MaximumEventAgeInSeconds } = only('AWS::Lambda::EventInvokeConfig').Properties;
  assert.deepEqual([MaximumRetryAttempts, MaximumEventAgeInSeconds], [0, 60]);
  const permissions = resources('AWS::Lambda::Permission').filter(([, { Condition }]) => Condition !== undefined);
  assert.deepEqual(permissions.map(([, { Properties }]) => Properties['Principal']), ['events.amazonaws.com']);
});

test('fauna_feed is keyed by id and can be made again', () => {
  const { DeletionPolicy, Properties } = table('fauna_feed');
  assert.equal(DeletionPolicy, 'Delete');
  assert.deepEqual(Properties, {
    TableName: 'fauna_feed',
    BillingMode: 'PAY_PER_REQUEST',
    AttributeDefinitions: [{ AttributeName: 'id', AttributeType: 'S' }],
    KeySchema: [{ AttributeName: 'id', KeyType: 'HASH' }],
    PointInTimeRecoverySpecification: { PointInTimeRecoveryEnabled: true },
  });
});

test('what the function counts and warns of is read out of its log', () => {
  const filters = resources('AWS::Logs::MetricFilter').map(([, { Properties }]) => {
    const [{ MetricName, MetricValue }] = Properties['MetricTransformations'];
    return `${MetricName} ${MetricValue} ${Properties['FilterPattern']}`;
  });
  const warned = ['changed', 'missing', 'ttl', 'removals'].map((begin) => `($.message = "${begin}: *")`).join(' || ');
  assert.deepEqual(filters.sort(), [
    'FaunaAppended $.appended { $.message = "done" }',
    `FaunaChanged 1 { ${warned} }`,
    'FaunaLate $.late { $.message = "done" }',
    'FaunaRemoved $.removed { $.message = "done" }',
    'FaunaUpdated $.updated { $.message = "done" }',
  ]);
});
