// Large projections of many orders on one page: in Chromium, against the real local stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { folder, startBrowser, startStack, until } from './harness.js';

/** Orders with projections of 150 KB that a page follows, and an event to each of them in one batch; what the page said. */
async function manyLarge(t, options) {
  const [stack, browser] = await Promise.all([startStack(t, await folder(t)), startBrowser(t)]);
  const page = await browser.page();
  const said = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => said.push(JSON.parse(String(payload)))));
  const orderIds = Array.from({ length: 24 }, (_, index) => `p${index}`);
  const blob = 'x'.repeat(150_000);
  await stack.appendAll(orderIds.map((orderId, index) => ({ ref: `${index + 1}`, orderId, blob })));
  await page.evaluate(([url, options, ids]) => follow(foldcast.connect({ url, ...options }), ...ids), [stack.url, options, orderIds]);
  for (const orderId of orderIds) await until(page, orderId, 1);
  await stack.appendAll(orderIds.map((orderId, index) => ({ ref: `${index + 1_001}`, orderId, n: 2 })));
  for (const orderId of orderIds) {
    const seen = await until(page, orderId, 2);
    assert.deepEqual([seen.versions, seen.projection.n, seen.projection.blob.length], [[1, 2], 2, blob.length], orderId);
  }
  return said;
}

// Heads would find what is lost as well: here they are too late for it.
const headsEveryMs = 3_600_000;

test('24 orders of 150 KB, changed in one batch, all arrive', async (t) => {
  await manyLarge(t, { headsEveryMs });
});

test('a page that has no room for all parts at once resumes what it drops', async (t) => {
  const said = await manyLarge(t, { headsEveryMs, incompleteMax: 1_000_000, backoffMaxMs: 2_000 });
  assert.ok(said.filter(({ action }) => action === 'subscribe').length > 1, 'nothing was dropped');
});
