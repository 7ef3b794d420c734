// Does the official SDK for JavaScript work against the local stack, unchanged, and raise its typed exceptions?

import assert from 'node:assert/strict';
import { test } from 'node:test';

import {
  DeleteConnectionCommand,
  ForbiddenException,
  GetConnectionCommand,
  GoneException,
  LimitExceededException,
  PayloadTooLargeException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';

import { connect, connectionIds, management, startStack } from './stack.js';

/** Of the right shape, and of no connection. */
const NOBODY = 'L0SM9cOFvHcCIhw=';

/** A stack with one browser on it, and a client of its management API. */
async function start(t, limits) {
  const stack = await startStack(limits);
  t.after(() => stack.stop());
  const browser = await connect(stack.websocketUrl);
  t.after(() => browser.socket.terminate());
  const [id] = await connectionIds(stack.dynamodbUrl);
  return { stack, browser, id, client: management(stack.managementUrl) };
}

const post = (client, id, data) => client.send(new PostToConnectionCommand({ ConnectionId: id, Data: data }));

test('a message is posted as text, a connection is looked at and deleted, and is gone then', async (t) => {
  const { browser, client, id } = await start(t);
  await post(client, id, '{"hello":"browser"}');
  assert.deepEqual(await browser.next(), { text: '{"hello":"browser"}', isBinary: false });

  const shown = await client.send(new GetConnectionCommand({ ConnectionId: id }));
  assert.equal(shown.Identity.SourceIp, '127.0.0.1');
  assert.ok(shown.ConnectedAt instanceof Date && shown.ConnectedAt <= shown.LastActiveAt);

  const closed = browser.closed();
  await client.send(new DeleteConnectionCommand({ ConnectionId: id }));
  assert.equal(await closed, 1000);
  await assert.rejects(post(client, id, 'late'), GoneException);
  await assert.rejects(client.send(new GetConnectionCommand({ ConnectionId: id })), GoneException);
  await assert.rejects(client.send(new DeleteConnectionCommand({ ConnectionId: id })), GoneException);
  await assert.rejects(post(client, NOBODY, 'nobody'), GoneException);
});

test('a payload over 128 KB, another stage and a wrong key are typed errors, and nothing is sent', async (t) => {
  const { stack, browser, client, id } = await start(t);
  await assert.rejects(post(client, id, 'x'.repeat(131_073)), PayloadTooLargeException);
  const elsewhere = management(stack.managementUrl.replace(/[^/]+$/, 'elsewhere'));
  await assert.rejects(post(elsewhere, id, 'never seen'), ForbiddenException);
  const stranger = management(stack.managementUrl, 'guessed');
  await assert.rejects(post(stranger, id, 'never seen'), { name: 'InvalidSignatureException' });
  await post(client, id, 'x'.repeat(131_072));
  assert.equal((await browser.next()).text.length, 131_072);
});

test('more calls than the account takes are a typed error', async (t) => {
  const { client, id } = await start(t, { requests_burst_max: 1, requests_per_second_max: 0 });
  await post(client, id, 'one');
  await assert.rejects(post(client, id, 'two'), LimitExceededException);
});
