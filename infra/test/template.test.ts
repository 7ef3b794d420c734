// Is template.json what the code says, whole, and the same everywhere?
import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { committedTemplate, STALE, templateText } from '../lib/template.ts';
import { functions, template, text } from './synthesized.ts';

/** The template that the app writes for this environment. */
function synthesized(environment: Record<string, string>): { text: string; template: any } {
  const outdir = mkdtempSync(join(tmpdir(), 'foldcast-infra-'));
  try {
    const { FOLDCAST_ARTEFACTS: _, ...inherited } = process.env;
    execFileSync(process.execPath, ['--import', 'tsx', 'bin/app.ts'], {
      cwd: join(import.meta.dirname, '..'),
      env: { ...inherited, ...environment, CDK_OUTDIR: outdir },
    });
    const text = readFileSync(join(outdir, 'Foldcast.template.json'), 'utf8');
    return { text, template: JSON.parse(text) };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}

/** The parameters that are the operator's to set, in the template's order. */
const operators = ['JwksUrl', 'JwtIssuer', 'JwtAudience', 'AllowedOrigins', 'RedactedFields', 'SubscriptionsMax', 'StageName'];

test('template.json is what the code synthesizes', () => {
  assert.ok(readFileSync(committedTemplate, 'utf8') === text, STALE);
});

test('the template is the same each time, wherever it is written', () => {
  assert.equal(templateText(), text);
});

test('the template stands alone: no metadata, no bootstrap, no hash of a file', () => {
  assert.deepEqual(Object.keys(template).sort(), ['Description', 'Outputs', 'Parameters', 'Resources']);
  assert.deepEqual(Object.keys(template.Parameters), ['ArtefactBucket', ...operators]);
  assert.doesNotMatch(text, /[0-9a-f]{64}|AWS::CDK::|aws:cdk:|aws:asset:|cdk-hnb659fds|BootstrapVersion/);
});

test('the bucket of the code has to be named, the stage need not be', () => {
  assert.ok(!('Default' in template.Parameters['ArtefactBucket']));
  assert.equal(template.Parameters['StageName'].Default, 'live');
});

test('the app without an environment synthesizes the same template', () => {
  assert.deepEqual(synthesized({}).template, template);
});

test('FOLDCAST_ARTEFACTS takes the code from a folder, and asks for no bucket', () => {
  const folder = mkdtempSync(join(tmpdir(), 'foldcast-artefacts-'));
  try {
    for (const name of functions().keys()) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'bootstrap'), name);
    }
    const { template, text } = synthesized({ FOLDCAST_ARTEFACTS: folder });
    assert.deepEqual(Object.keys(template.Parameters), operators);
    assert.doesNotMatch(text, /ArtefactBucket/);
    const keys = Object.values<any>(template.Resources)
      .filter(({ Type }) => Type === 'AWS::Lambda::Function')
      .map(({ Properties }) => Properties.Code.S3Key);
    for (const key of keys) assert.match(key, /^[0-9a-f]{64}\.zip$/);
    assert.equal(new Set(keys).size, functions().size, 'each function has a file of its own');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
