// Is an operator told of what matters, by whom he wants, and does he find out what to do?
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { deployed, ofType } from './app.ts';
import { only, resources } from './synthesized.ts';

/** Metric, statistic, threshold, minutes of five. */
const expected = {
  'foldcast-deferred': ['Foldcast Deferred of event-handler, Sum', 0, 3],
  'foldcast-errors': ['Errors of every function, Sum', 0, 3],
  'foldcast-failure-queue': ['ApproximateNumberOfMessagesVisible, Maximum', 0, 1],
  'foldcast-fauna-changed': ['Foldcast FaunaChanged, Sum', 0, 1],
  'foldcast-fauna-differs': ['Foldcast FaunaLate and FaunaRemoved and FaunaUpdated, Sum', 0, 1],
  'foldcast-fauna-errors': ['Errors, Sum', 0, 3],
  'foldcast-iterator-age': ['IteratorAge, Maximum', 60_000, 3],
  'foldcast-lag': ['Foldcast Lag of event-handler, p99', 5_000, 3],
  'foldcast-page-age': ['ApproximateAgeOfOldestMessage, Maximum', 60, 3],
  'foldcast-throttles': ['Throttles of every function, Sum', 0, 3],
};

const alarms = () => resources('AWS::CloudWatch::Alarm').map(([, { Properties }]) => Properties);

/** What an alarm looks at: one metric, or one of every function. */
function metric(alarm: Record<string, any>): string {
  const { Namespace, MetricName, Statistic, Metrics } = alarm;
  if (Metrics === undefined) return `${Namespace === 'Foldcast' ? 'Foldcast ' : ''}${MetricName}, ${Statistic}`;
  const looks = Metrics.flatMap(({ MetricStat }: any) => (MetricStat === undefined ? [] : [MetricStat]));
  const [{ Metric, Stat }] = looks;
  if (looks.length === 1) {
    const of = Metric.Namespace === 'Foldcast' && Metric.Dimensions !== undefined ? ` of ${Metric.Dimensions[0].Value}` : '';
    return `${Metric.Namespace === 'Foldcast' ? 'Foldcast ' : ''}${Metric.MetricName}${of}, ${Stat}`;
  }
  // Those of the feed of FaunaDB are counted out of its log, and have no dimension.
  if (looks.every(({ Metric }: any) => Metric.Namespace === 'Foldcast')) {
    return `Foldcast ${looks.map(({ Metric }: any) => Metric.MetricName).sort().join(' and ')}, ${Stat}`;
  }
  const names = new Set(looks.map(({ Metric, Stat }: any) => `${Metric.MetricName} of every function, ${Stat}`));
  assert.equal(names.size, 1);
  const targets = looks.map(({ Metric }: any) => Metric.Dimensions[0].Value.Ref).sort();
  // The feed of FaunaDB has an alarm of its own.
  const gateway = resources('AWS::Lambda::Function').filter(([, { Condition }]) => Condition === undefined);
  assert.deepEqual(targets, gateway.map(([id]) => id).sort());
  return [...names][0] as string;
}

test('each alarm looks at its metric, and silence is no alarm', () => {
  const found = alarms().map((alarm) => {
    assert.equal(alarm['ComparisonOperator'], 'GreaterThanThreshold');
    assert.equal(alarm['TreatMissingData'], 'notBreaching');
    assert.equal(alarm['EvaluationPeriods'], 5);
    return [alarm['AlarmName'], [metric(alarm), alarm['Threshold'], alarm['DatapointsToAlarm']]];
  });
  assert.deepEqual(Object.fromEntries(found), expected);
});

test('each alarm has a section in the runbook that says what it means, what to look at and what to do', () => {
  const runbook = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'runbook.md'), 'utf8');
  const sections = new Map(
    runbook.split(/^## /m).slice(1).map((section) => [section.split('\n')[0]!.trim(), section]),
  );
  for (const { AlarmName } of alarms()) {
    const section = sections.get(AlarmName) ?? '';
    for (const part of ['**Means.**', '**Look.**', '**Do.**']) {
      assert.ok(section.includes(part), `docs/runbook.md, ${AlarmName}: ${part}`);
    }
  }
  const unknown = [...sections.keys()].filter((title) => title.startsWith('foldcast-') && !(title in expected));
  assert.deepEqual(unknown, [], 'no section is about an alarm that there is not');
});

test('nobody is called, unless a topic is given: then of the beginning and the end of each alarm', () => {
  for (const { AlarmActions, OKActions } of alarms()) assert.deepEqual([AlarmActions, OKActions], [undefined, undefined]);
  const topic = 'arn:aws:sns:eu-west-1:123456789012:alarms';
  const { root } = deployed({ 'foldcast:alarmTopicArn': topic });
  for (const [, { Properties }] of ofType(root, 'AWS::CloudWatch::Alarm')) {
    assert.deepEqual([Properties['AlarmActions'], Properties['OKActions']], [[topic], [topic]]);
  }
});

test('the dashboard shows every metric that the functions count, and every alarm', () => {
  const body = JSON.stringify(only('AWS::CloudWatch::Dashboard').Properties['DashboardBody']);
  for (const name of [
    'EventsFolded',
    'UpdatesPushed',
    'ConnectionsGone',
    'PushesRetried',
    'PushesFailed',
    'FanOut',
    'Redeliveries',
    'Poison',
    'Deferred',
    'Lag',
  ]) {
    assert.ok(body.includes(`\\"Foldcast\\",\\"${name}\\"`), name);
  }
  for (const [id, { Condition }] of resources('AWS::CloudWatch::Alarm')) assert.equal(body.includes(id), Condition === undefined, id);
});
