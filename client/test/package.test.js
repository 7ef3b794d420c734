// What is shipped: how heavy it is, and what it brings along.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { bundle, buildSite } from './bundle.js';
import { folder, startBrowser, startStack } from './harness.js';

const run = (program, args, options) =>
  promisify(execFile)(program, args, options).catch((error) => Promise.reject(new Error(`${error.stdout}${error.stderr}`)));

const CONSUMER = `
import { connect, FoldcastError } from '@foldcast/client';
import { parseLossless } from '@foldcast/client/lossless';
const client = connect({ url: 'wss://x', token: async () => 'token', parse: parseLossless });
for await (const update of client.order('o', { since: 1 })) {
  const version: number = update.version;
  const ref: string | undefined = update.events[0]?.ref;
  console.log(version, ref, update.projection);
}
client.subscribe('o', ({ events }) => events.length, { error: (error: FoldcastError) => error.code });
client.subscribe('o', () => {}, { current: (isCurrent: boolean) => !isCurrent });
const isCurrent: boolean = client.order('o').isCurrent;
console.log(isCurrent);
`;

const COMPRESSED_BYTES_MAX = 5_120;

const weight = async (entry) => gzipSync(await bundle(`src/${entry}`, ['react']), { level: 9 }).length;

test('the client is under 5 KB, minified and compressed', async (t) => {
  const bytes = { client: await weight('index.js'), react: await weight('react.js') };
  t.diagnostic(`${bytes.client} bytes; the React hook ${bytes.react} bytes more`);
  assert.ok(bytes.client < COMPRESSED_BYTES_MAX, `${bytes.client} bytes`);
  assert.ok(bytes.react < 1_024, `${bytes.react} bytes`);
});

test('it has no dependency but the page’s own React', async () => {
  const manifest = JSON.parse(await readFile(new URL('../package.json', import.meta.url), 'utf8'));
  assert.equal(manifest.dependencies, undefined);
  assert.deepEqual(Object.keys(manifest.peerDependencies), ['react']);
  assert.equal(manifest.peerDependenciesMeta.react.optional, true);
});

test('who installs it from npm has its types and its licences', async (t) => {
  const client = new URL('..', import.meta.url).pathname;
  const place = await folder(t);
  const installed = join(place, 'node_modules/@foldcast/client');
  await mkdir(installed, { recursive: true });
  await run('npm', ['pack', '--silent', '--pack-destination', place], { cwd: client });
  await run('tar', ['-xzf', join(place, 'foldcast-client-0.1.0.tgz'), '-C', installed, '--strip-components', '1']);
  assert.match(await readFile(join(installed, 'LICENSE-APACHE'), 'utf8'), /Apache License/);
  assert.match(await readFile(join(installed, 'LICENSE-MIT'), 'utf8'), /Permission is hereby granted/);
  await writeFile(join(place, 'consumer.mts'), CONSUMER);
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--lib', 'es2023,dom', '--types', ''];
  await run(join(client, 'node_modules/.bin/tsc'), [...flags, join(place, 'consumer.mts')], { cwd: place });
  await writeFile(join(place, 'consumer.mts'), CONSUMER.replace('update.version', 'update.versio'));
  await assert.rejects(run(join(client, 'node_modules/.bin/tsc'), [...flags, join(place, 'consumer.mts')], { cwd: place }), /versio/);
});

test('the example works as it is built by Vite, and as plain modules without a build', async (t) => {
  const [built, stack, browser] = await Promise.all([folder(t), folder(t).then((data) => startStack(t, data)), startBrowser(t)]);
  await buildSite(new URL('../example', import.meta.url).pathname, built);
  await stack.append('o', 1, 2);
  for (const path of ['/built/index.html', '/example/index.html']) {
    const page = await browser.at(`${path}?url=${encodeURIComponent(stack.url)}`, built);
    await page.getByLabel('Order').fill('o');
    await page.getByRole('button').click();
    await page.getByText('version 2').waitFor();
    assert.equal(JSON.parse(await page.locator('pre').textContent()).n, 2);
    await page.close();
  }
});
