// Does the stack keep to AWS's own rules, but for those that do not suit it, each acknowledged with its reason beside the
// construct?
import { strict as assert } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Stack, Validations } from 'aws-cdk-lib';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import { AwsSolutionsChecks } from 'cdk-nag';
import { foldcastApp, type FoldcastAppProps } from '../lib/app.ts';

/** What the rules find, each as `rule on construct`; `add` may add what breaks one. */
function violations(add: (stack: Stack) => void = () => {}, more: FoldcastAppProps = {}): string[] {
  const outdir = mkdtempSync(join(tmpdir(), 'foldcast-nag-'));
  try {
    const app = foldcastApp({ outdir, ...more });
    add(app.node.findChild('Foldcast') as Stack);
    Validations.of(app).addPlugins(new AwsSolutionsChecks(app));
    try {
      app.synth();
    } catch {
      // The report says what is wrong.
    }
    const { pluginReports } = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8'));
    return pluginReports.flatMap(({ violations }: any) =>
      violations.flatMap(({ ruleName, violatingConstructs }: any) =>
        violatingConstructs.map(({ constructPath }: any) => `${ruleName} on ${constructPath}`),
      ),
    );
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

test('cdk-nag finds nothing but what is acknowledged', () => {
  assert.deepEqual(violations(), []);
});

test('nor as it is deployed, with a domain and a topic', () => {
  const context = {
    'foldcast:domainName': 'push.shop.example',
    'foldcast:certificateArn': 'arn:aws:acm:eu-west-1:123456789012:certificate/abc',
    'foldcast:alarmTopicArn': 'arn:aws:sns:eu-west-1:123456789012:alarms',
  };
  assert.deepEqual(violations(() => {}, { toDeploy: true, context }), []);
});

test('cdk-nag looks', () => {
  const found = violations((stack) => void new Queue(stack, 'Plain'));
  assert.ok(found.includes('AwsSolutions-SQS4 on Foldcast/Plain/Resource'), found.join('\n'));
});
