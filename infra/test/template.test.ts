// Is template.json what the code says, whole, and the same everywhere?
import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { committedTemplate, STALE, templateText } from '../lib/template.ts';
import { template, text } from './synthesized.ts';

/** The parameters that are the operator's to set, in the template's order. */
const operators = ['JwksUrl', 'JwtIssuer', 'JwtAudience', 'AllowedOrigins', 'RedactedFields', 'RequestsPerSecond', 'SubscriptionsMax', 'StageName', 'FaunaEndpoint', 'FaunaKeyArn', 'FaunaCollection'];

test('template.json is what the code synthesizes', () => {
  assert.ok(readFileSync(committedTemplate, 'utf8') === text, STALE);
});

test('the template is the same each time, wherever it is written', () => {
  assert.equal(templateText(), text);
});

test('the template stands alone: no metadata, no bootstrap, no hash of a file', () => {
  assert.deepEqual(Object.keys(template).sort(), ['Conditions', 'Description', 'Outputs', 'Parameters', 'Resources', 'Rules']);
  assert.deepEqual(Object.keys(template.Parameters), ['ArtefactBucket', ...operators]);
  assert.doesNotMatch(text, /[0-9a-f]{64}|AWS::CDK::|aws:cdk:|aws:asset:|cdk-hnb659fds|BootstrapVersion/);
});

test('the bucket of the code has to be named, the stage need not be', () => {
  assert.ok(!('Default' in template.Parameters['ArtefactBucket']));
  assert.equal(template.Parameters['StageName'].Default, 'live');
});
