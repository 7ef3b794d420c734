// The protocol's descriptions, held to the Rust types: shared/protocol/schema.json is made from them.

import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';

import { Parser, fromFile } from '@asyncapi/parser';
import { compile } from 'json-schema-to-typescript';

const file = (path) => new URL(`../${path}`, import.meta.url);

test('the types are those of the gateway', async () => {
  const schema = JSON.parse(await readFile(file('../shared/protocol/schema.json'), 'utf8'));
  const bannerComment = '// Made from shared/protocol/schema.json: `TYPES=write npm test` writes it anew.';
  const names = Object.keys(schema.$defs);
  const all = { ...schema, title: 'Message', oneOf: names.map((name) => ({ $ref: `#/$defs/${name}` })) };
  const types = await compile(all, 'Message', { bannerComment, additionalProperties: false });
  if (process.env.TYPES === 'write') await writeFile(file('src/protocol.d.ts'), types);
  assert.equal(await readFile(file('src/protocol.d.ts'), 'utf8'), types, 'TYPES=write npm test');
});

test('the AsyncAPI document is one, by the official parser', async () => {
  const { document, diagnostics } = await fromFile(new Parser(), file('../docs/asyncapi.yaml').pathname).parse();
  assert.deepEqual(diagnostics.filter(({ severity }) => severity <= 1), []);
  const messages = document.allMessages().all();
  assert.deepEqual(messages.map((message) => message.id()).sort(), ['error', 'heads', 'history', 'part', 'pong', 'sent', 'unsubscribed', 'update']);
  assert.deepEqual(Object.keys(messages.find((message) => message.id() === 'update').payload().properties()).sort(), [
    'events', 'more', 'orderId', 'projection', 'refolded', 'reset', 'type', 'version',
  ]);
});
