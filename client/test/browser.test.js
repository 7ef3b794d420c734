// Does a page see it? In Chromium, against the real local stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { foldcastToken, folder, startBrowser, startStack, until, versions } from './harness.js';

async function start(t, options) {
  const data = await folder(t);
  const [stack, browser] = await Promise.all([startStack(t, data, options), startBrowser(t)]);
  return { data, stack, browser, page: await browser.page() };
}

test('a page sees every event once and in order, and the projection without redacted fields', async (t) => {
  const { stack, page } = await start(t);
  await stack.append('o', 1, 3);
  await page.evaluate((url) => follow(foldcast.connect({ url }), 'o'), stack.url);
  await until(page, 'o', 3);
  await stack.append('o', 4, 20);
  const seen = await until(page, 'o', 20);
  assert.deepEqual(seen.versions, versions(20));
  assert.deepEqual(seen.projection, { eventName: 'OrderChanged', orderId: 'o', n: 20 });
});

test('an order is an async iterable that ends with its loop, and tells its history', async (t) => {
  const { stack, page } = await start(t);
  await stack.append('o', 1, 5);
  const told = await page.evaluate(async (url) => {
    const client = foldcast.connect({ url });
    const order = client.order('o');
    const seen = [];
    for await (const { version, events, projection } of order) {
      seen.push({ version, events: events.length, n: projection.n });
      break;
    }
    const { events, projection } = await order.history({ from: 2, to: 4 });
    const at = await order.at(2);
    client.close();
    return { seen, history: events.map((event) => event.version), n: projection.n, at };
  }, stack.url);
  assert.deepEqual(told.seen, [{ version: 5, events: 0, n: 5 }]);
  assert.deepEqual([told.history, told.n], [[2, 3, 4], 4]);
  assert.deepEqual([told.at.version, told.at.projection.n], [2, 2]);
});

test('a page catches up after the stack was killed and started again', async (t) => {
  const { data, stack, page } = await start(t);
  await page.evaluate((url) => follow(foldcast.connect({ url, backoffMaxMs: 500 }), 'o'), stack.url);
  await stack.append('o', 1, 10);
  await until(page, 'o', 10);
  await stack.kill();
  const again = await startStack(t, data, { port: stack.port });
  await again.append('o', 11, 30);
  assert.deepEqual((await until(page, 'o', 30)).versions, versions(30));
});

test('a page that was offline has every event afterwards', async (t) => {
  const { stack, browser, page } = await start(t);
  await page.evaluate((url) => {
    follow(foldcast.connect({ url, pongWithinMs: 300, backoffMaxMs: 300, openWithinMs: 1_000 }), 'o');
  }, stack.url);
  await stack.append('o', 1, 2);
  await until(page, 'o', 2);
  await browser.context.setOffline(true);
  await stack.append('o', 3, 8);
  await browser.context.setOffline(false);
  assert.deepEqual((await until(page, 'o', 8)).versions, versions(8));
});

test('two tabs see the same', async (t) => {
  const { stack, browser, page } = await start(t);
  const other = await browser.page();
  for (const tab of [page, other]) await tab.evaluate((url) => follow(foldcast.connect({ url }), 'o'), stack.url);
  await stack.append('o', 1, 12);
  const [one, two] = await Promise.all([until(page, 'o', 12), until(other, 'o', 12)]);
  assert.deepEqual([one.versions, two.versions], [versions(12), versions(12)]);
  assert.deepEqual(one.projection, two.projection);
});

test('a page left in the background has every event when it comes to the front', async (t) => {
  const { stack, browser, page } = await start(t);
  await page.evaluate((url) => follow(foldcast.connect({ url }), 'o'), stack.url);
  await stack.append('o', 1, 1);
  await until(page, 'o', 1);
  const front = await browser.page();
  await front.bringToFront();
  const session = await browser.context.newCDPSession(page);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  await stack.append('o', 2, 9);
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  await page.bringToFront();
  assert.deepEqual((await until(page, 'o', 9)).versions, versions(9));
});

test('a page is told that an order is forbidden, and others go on', async (t) => {
  const path = (file) => new URL(file, import.meta.url).pathname;
  const more = ['--template', path('../../infra/template.json'), '--function', `subscribe=${path('forbidding.py')}`, '--no-auth'];
  const { stack, page } = await start(t, { more });
  // One after the other: the function takes an order at a time.
  const told = await page.evaluate(async (url) => {
    const client = foldcast.connect({ url });
    const refused = await client.order('secret')[Symbol.asyncIterator]().next().catch(({ name, code }) => [name, code]);
    const { value } = await client.order('mine')[Symbol.asyncIterator]().next();
    return { refused, version: value.version };
  }, stack.url);
  assert.deepEqual(told, { refused: ['FoldcastError', 'forbidden'], version: 0 });
});

test('200 orders are followed on one connection, where that many are allowed', async (t) => {
  const { stack, page } = await start(t, { variables: { SUBSCRIPTIONS_MAX: '200' } });
  const orderIds = Array.from({ length: 200 }, (_, index) => `o${index}`);
  const frames = [];
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => frames.push(String(payload))));
  await page.evaluate(([url, ids]) => follow(foldcast.connect({ url }), ...ids), [stack.url, orderIds]);
  for (const orderId of ['o0', 'o99', 'o100', 'o199']) {
    await stack.append(orderId, 1, 2);
    assert.deepEqual((await until(page, orderId, 2)).versions, [1, 2]);
  }
  const orders = frames.map((frame) => JSON.parse(frame)).filter(({ action }) => action === 'subscribe');
  // Whatever is said after that heals a gap of a single order.
  assert.deepEqual(orders.slice(0, 2).map((frame) => frame.orders.length), [100, 100], 'the gateway takes 100 at once');
});

test('one order more than a connection may follow ends with an error, and the others go on', async (t) => {
  const { stack, page } = await start(t, { variables: { SUBSCRIPTIONS_MAX: '2' } });
  const refused = await page.evaluate(async (url) => {
    const client = foldcast.connect({ url });
    follow(client, 'a', 'b');
    return new Promise((resolve) => client.subscribe('c', () => {}, { error: ({ code }) => resolve(code) }));
  }, stack.url);
  assert.equal(refused, 'too_many_subscriptions');
  for (const orderId of ['a', 'b']) {
    await stack.append(orderId, 1, 1);
    assert.deepEqual((await until(page, orderId, 1)).versions, [1]);
  }
});

test('a page with a token sees the orders of its user, and other orders as orders without events', async (t) => {
  const { stack, page } = await start(t, { more: ['--auth'] });
  const token = foldcastToken('user_123');
  await stack.append('mine', 1, 2, { userId: 'user_123' });
  await stack.append('another', 1, 2, { userId: 'user_456' });
  await page.evaluate(([url, token]) => {
    const client = foldcast.connect({ url, token: async () => token });
    globalThis.seen = {};
    for (const orderId of ['mine', 'another', 'none'])
      client.subscribe(orderId, ({ version, projection }) => (seen[orderId] = { version, owner: projection.userId ?? null }));
  }, [stack.url, token]);
  await page.waitForFunction(() => Object.keys(seen).length === 3);
  await stack.append('another', 3, 3);
  await stack.append('mine', 3, 3);
  await page.waitForFunction(() => seen.mine.version === 3);
  assert.deepEqual(await page.evaluate(() => seen), {
    mine: { version: 3, owner: 'user_123' },
    another: { version: 0, owner: null },
    none: { version: 0, owner: null },
  });
});

test('a page whose tokens expire goes on with the next one, without a gap', async (t) => {
  const { stack, page } = await start(t, { more: ['--auth'] });
  let tokens = 0;
  await page.exposeFunction('freshToken', () => {
    tokens += 1;
    return foldcastToken('user_123', 1);
  });
  const begin = (url) => follow(foldcast.connect({ url, token: () => freshToken(), pingAfterMs: 300, backoffFirstMs: 50 }), 'o');
  await page.evaluate(begin, stack.url);
  let last = 0;
  for (; tokens < 4; last += 2) {
    await stack.append('o', last + 1, last + 2, { userId: 'user_123' });
    await until(page, 'o', last + 2);
  }
  assert.deepEqual((await until(page, 'o', last)).versions, versions(last));
});

test('a fresh connection takes over before the old one ends, without a gap', async (t) => {
  const { stack, page } = await start(t, { limits: { life_max_ms: 2_000 } });
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket));
  await page.evaluate((url) => follow(foldcast.connect({ url, renewAfterMs: 800 }), 'o'), stack.url);
  let last = 0;
  for (; sockets.length < 4; last += 5) await stack.append('o', last + 1, last + 5);
  assert.deepEqual((await until(page, 'o', last)).versions, versions(last));
});

test('a message in parts is put together', async (t) => {
  const { stack, page } = await start(t);
  await stack.append('o', 1, 1);
  await page.evaluate((url) => follow(foldcast.connect({ url }), 'large'), stack.url);
  await stack.appendLarge('large', 300_000);
  const seen = await until(page, 'large', 1);
  assert.equal(seen.projection.note.length, 300_000);
});
