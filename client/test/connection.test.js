// The connection against a gateway of the protocol's level, with clocks that tests turn.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from '../src/index.js';
import { following, pass, settled, sockets, update } from './sockets.js';

test('nothing is opened before somebody looks at an order', async () => {
  const client = connect({ url: 'ws://gateway' });
  await settled();
  assert.equal(sockets.length, 0);
  client.close();
});

test('all orders are subscribed in one message, after a reconnect with where they stand', async () => {
  const { client, socket } = await following(['a', 'b']);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a' }, { orderId: 'b' }] }]);
  socket.hear(update('a', 3));
  socket.hear(update('b', 5));
  socket.hear(update('a', 4));
  socket.end();
  await pass(500);
  sockets[1].open();
  await settled();
  const orders = [{ orderId: 'a', since: 4, ref: '4' }, { orderId: 'b', since: 5, ref: '5' }];
  assert.deepEqual(sockets[1].said(), [{ action: 'subscribe', orders }]);
  client.close();
});

test('pauses between tries double up to the longest one, and begin anew after a good connection', async () => {
  const { client, socket } = await following(['a'], { backoffFirstMs: 100, backoffMaxMs: 400 });
  socket.hear(update('a', 1));
  socket.end();
  for (const pause of [100, 200, 400, 400]) {
    const count = sockets.length;
    await pass(pause - 1);
    assert.equal(sockets.length, count, `${pause}`);
    await pass(1);
    assert.equal(sockets.length, count + 1, `${pause}`);
    sockets.at(-1).end();
  }
  await pass(400);
  sockets.at(-1).open();
  sockets.at(-1).hear(update('a', 2));
  sockets.at(-1).end();
  const count = sockets.length;
  await pass(100);
  assert.equal(sockets.length, count + 1);
  client.close();
});

test('a token is asked for anew for each connection, and one that fails is tried again', async () => {
  const tokens = ['one', undefined, 'no token', 'a.b-c'];
  const token = async () => tokens.shift() ?? Promise.reject(new Error('no token'));
  const client = connect({ url: 'ws://gateway?x=1', token });
  client.subscribe('a', () => {});
  await settled();
  assert.deepEqual([sockets[0].url, sockets[0].protocols], ['ws://gateway?x=1', ['foldcast', 'one']]);
  sockets[0].end();
  await pass(500);
  assert.equal(sockets.length, 1, 'the second token failed');
  await pass(1_000);
  assert.equal(sockets.length, 1, 'the third is none');
  await pass(2_000);
  assert.deepEqual(sockets[1].protocols, ['foldcast', 'a.b-c']);
  client.close();
});

test('a silent connection is pinged, and given up when nothing comes', async () => {
  const { client, socket } = await following(['a'], { pingAfterMs: 1_000, pongWithinMs: 100 });
  socket.hear(update('a', 1));
  socket.said();
  await pass(1_000);
  assert.deepEqual(socket.said(), [{ action: 'ping' }]);
  socket.hear({ type: 'pong' });
  await pass(1_000);
  assert.deepEqual(socket.said(), [{ action: 'ping' }]);
  await pass(100);
  assert.equal(socket.readyState, 3);
  await pass(500);
  assert.equal(sockets.length, 2);
  client.close();
});

test('a fresh connection takes over, and the old one ends when every order is answered', async () => {
  const { client, socket, seen } = await following(['a', 'b'], { renewAfterMs: 1_000 });
  socket.hear(update('a', 1));
  socket.hear(update('b', 1));
  await pass(1_000);
  const fresh = sockets[1];
  fresh.open();
  await settled();
  socket.hear(update('a', 2));
  assert.equal(socket.readyState, 1, 'the old one goes on');
  fresh.hear(update('a', 2, 2));
  await settled();
  assert.equal(socket.readyState, 1, 'b is not answered');
  fresh.hear({ ...update('b', 1), events: [] });
  await settled();
  assert.equal(socket.readyState, 3);
  assert.deepEqual(seen.map(({ orderId, version }) => [orderId, version]), [['a', 1], ['b', 1], ['a', 2]]);
  client.close();
});

test('a fresh connection with another token takes over before the token of the old one ends', async () => {
  // In the alphabet of URLs, with a character that base64 itself has not.
  const token = (exp) => `h.${Buffer.from(JSON.stringify({ exp, sub: '\u00ff?>' })).toString('base64url')}.s`;
  assert.match(token(0), /[-_]/);
  const tokens = [token(Date.now() / 1_000 + 100), 'opaque', token(Date.now() / 1_000 + 100)];
  const { client } = await following(['a'], { token: () => tokens.shift(), renewAfterMs: 200_000, renewBeforeExpiryMs: 40_000 });
  await pass(59_999);
  assert.equal(sockets.length, 1);
  await pass(1);
  assert.equal(sockets[1].protocols[1], 'opaque');
  sockets[1].open();
  await pass(199_999);
  assert.equal(sockets.length, 2, 'of a token that is none, nothing is known');
  await pass(1);
  sockets[2].open();
  await pass(199_999);
  assert.equal(sockets.length, 3, 'a token that has ended is left to the gateway');
  client.close();
});

test('an error that names no order ends none of several that wait, and each is asked for alone', async () => {
  const { client, socket, seen, errors } = await following(['a', 'b']);
  const bad = { type: 'error', code: 'bad_request', message: 'the message is not JSON', requestId: 'r' };
  socket.said();
  socket.hear(bad);
  await pass(1_000);
  assert.deepEqual(errors, []);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a' }] }]);
  socket.hear(bad);
  await pass(2_000);
  assert.deepEqual(errors.map(({ code }) => code), ['bad_request'], 'only one waits, and it is meant');
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'b' }] }]);
  socket.hear(update('b', 1));
  assert.deepEqual(seen.map(({ orderId }) => orderId), ['b']);
  client.close();
});

test('an error that names an order ends that one', async () => {
  const { client, socket, seen, errors } = await following(['a', 'b']);
  socket.hear({ type: 'error', code: 'bad_request', message: 'since', requestId: 'r', orderId: 'b', index: 1 });
  socket.hear(update('a', 1));
  assert.deepEqual([errors.length, seen.map(({ orderId }) => orderId)], [1, ['a']]);
  client.close();
});

test('a gap asks for what is missing, once', async () => {
  const { client, socket, seen } = await following(['a']);
  socket.hear(update('a', 1));
  socket.said();
  socket.hear(update('a', 3));
  socket.hear(update('a', 4));
  await pass(2_000);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a', since: 1, ref: '1' }] }]);
  socket.hear(update('a', 4, 2));
  await settled();
  assert.deepEqual(seen.at(-1).events.map(({ version }) => version), [2, 3, 4]);
  assert.deepEqual(socket.said(), []);
  client.close();
});

test('an internal error and a frame of API Gateway are asked again after a pause', async () => {
  const { client, socket } = await following(['a', 'b']);
  socket.said();
  socket.hear({ type: 'error', code: 'internal', message: 'try again', orderId: 'a' });
  await pass(1_001);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a' }] }]);
  socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
  const asked = [];
  for (let index = 0; index < 2; index += 1) {
    await pass(2_001);
    const [{ orders }, ...more] = socket.said();
    assert.deepEqual([orders.length, more], [1, []]);
    asked.push(orders[0].orderId);
    socket.hear(update(orders[0].orderId, 1));
    await settled();
  }
  assert.deepEqual(asked.sort(), ['a', 'b']);
  client.close();
});

test('a refusal ends its order alone, with a typed error', async () => {
  const { client, socket, errors, seen } = await following(['a', 'b']);
  socket.hear({ type: 'error', code: 'forbidden', message: 'no', requestId: 'r', orderId: 'a' });
  socket.hear(update('b', 1));
  await settled();
  assert.deepEqual(errors.map(({ name, code, requestId }) => [name, code, requestId]), [['FoldcastError', 'forbidden', 'r']]);
  assert.deepEqual(seen.map(({ orderId }) => orderId), ['b']);
  const loop = (async () => {
    for await (const _ of client.order('a')) assert.fail('nothing comes');
  })();
  await settled();
  socket.hear({ type: 'error', code: 'forbidden', message: 'no', orderId: 'a' });
  await assert.rejects(loop, { code: 'forbidden' });
  client.close();
});

test('more is said about an order only when the last word was answered', async () => {
  const { client, socket, stops } = await following(['a']);
  socket.said();
  stops[0]();
  const history = client.order('a').history({ from: 1, to: 2 });
  await settled();
  assert.deepEqual(socket.said(), [], 'the subscribe is not answered');
  socket.hear(update('a', 2));
  await settled();
  assert.deepEqual(socket.said(), [{ action: 'unsubscribe', orderId: 'a' }]);
  socket.hear({ type: 'unsubscribed', orderId: 'a' });
  await settled();
  assert.deepEqual(socket.said(), [{ action: 'history', orderId: 'a', from: 1, to: 2 }]);
  socket.hear({ type: 'history', orderId: 'a', version: 1, events: [{ version: 1 }], more: true });
  socket.hear({ type: 'history', orderId: 'a', version: 2, events: [{ version: 2 }], projection: { n: 2 } });
  const { events, projection } = await history;
  assert.deepEqual([events.length, projection], [2, { n: 2 }]);
  client.close();
});

test('after an unsubscribe that failed, orders go on on another connection', async () => {
  const { client, socket, stops } = await following(['a', 'b']);
  socket.hear(update('a', 1));
  socket.hear(update('b', 1));
  socket.said();
  stops[0]();
  await settled();
  socket.hear({ type: 'error', code: 'internal', message: 'no', orderId: 'a' });
  await pass(1_000);
  sockets[1].open();
  await settled();
  assert.deepEqual(sockets[1].said(), [{ action: 'subscribe', orders: [{ orderId: 'b', since: 1, ref: '1' }] }]);
  client.close();
});

test('updates that come while nobody asks are one update', async () => {
  const { client, socket } = await following(['b']);
  const updates = client.order('a')[Symbol.asyncIterator]();
  await settled();
  for (const version of [1, 2, 3]) socket.hear(update('a', version));
  const { value } = await updates.next();
  assert.deepEqual([value.version, value.events.map(({ version }) => version), value.projection], [3, [2, 3], { version: 3 }]);
  await updates.return();
  assert.deepEqual(await updates.next(), { value: undefined, done: true });
  client.close();
});

test('an abort ends a subscription, and closing the client ends everything', async () => {
  const { client, socket, seen, errors } = await following(['a']);
  const controller = new AbortController();
  const other = [];
  client.subscribe('a', (update) => other.push(update), { signal: controller.signal });
  socket.hear(update('a', 1));
  controller.abort();
  socket.hear(update('a', 2));
  assert.deepEqual([seen.length, other.length], [2, 1]);
  client.close();
  assert.equal(socket.readyState, 3);
  assert.deepEqual(errors.map(({ code }) => code), ['closed']);
  await assert.rejects(client.order('a').history({ from: 1, to: 1 }), { code: 'closed' });
  assert.throws(() => client.subscribe('a', () => {}), { code: 'closed' });
});

test('a connection is closed when nobody looks at an order any more, and opened again for the next one', async () => {
  const { client, socket, stops } = await following(['a'], { restAfterMs: 1_000 });
  socket.hear(update('a', 1));
  stops[0]();
  await settled();
  socket.hear({ type: 'unsubscribed', orderId: 'a' });
  await settled();
  await pass(999);
  assert.equal(socket.readyState, 1);
  await pass(1);
  assert.equal(socket.readyState, 3);
  await pass(3_600_000);
  assert.equal(sockets.length, 1, 'nothing is opened for nobody');
  client.subscribe('b', () => {});
  await settled();
  assert.equal(sockets.length, 2);
  client.close();
});

test('what a callback throws is reported, and the others hear the update', async (t) => {
  const { client, socket, seen } = await following(['a']);
  client.subscribe('a', () => {
    throw new Error('mine');
  });
  const later = [];
  client.subscribe('a', (update) => later.push(update));
  const reported = [];
  globalThis.reportError = ({ message }) => reported.push(message);
  t.after(() => delete globalThis.reportError);
  socket.hear(update('a', 1));
  assert.deepEqual(reported, ['mine']);
  assert.deepEqual([seen.length, later.length], [1, 1]);
  client.close();
});

test('an order id that the gateway would refuse is refused at once', () => {
  const client = connect({ url: 'ws://gateway' });
  for (const orderId of ['', 'a\n', 'é'.repeat(129), '\ud800', undefined]) assert.throws(() => client.order(orderId), { code: 'bad_request' });
  client.close();
});

test('a missing update that arrives meanwhile is not asked for', async () => {
  const { client, socket, seen } = await following(['a', 'b']);
  for (const orderId of ['a', 'b']) socket.hear(update(orderId, 1));
  socket.said();
  for (const orderId of ['a', 'b']) socket.hear(update(orderId, 3));
  await pass(1_999);
  assert.deepEqual(socket.said(), [], 'nothing is asked at once');
  socket.hear(update('a', 2));
  socket.hear(update('a', 3));
  await pass(1);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'b', since: 1, ref: '1' }] }]);
  assert.deepEqual(seen.filter(({ orderId }) => orderId === 'a').map(({ version }) => version), [1, 2, 3]);
  client.close();
});

test('pages that miss the same update ask for it spread over two seconds, each page once for all orders', async (t) => {
  const at = [];
  for (let page = 0; page < 20; page += 1) {
    t.mock.method(Math, 'random', () => page / 20);
    const orderIds = ['a', 'b', 'c'];
    const { client, socket } = await following(orderIds);
    for (const orderId of orderIds) socket.hear(update(orderId, 1));
    socket.said();
    for (const orderId of orderIds) socket.hear(update(orderId, 3));
    await settled();
    for (let ms = 0; ms < 2_000; ms += 100) {
      await pass(100);
      for (const { orders } of socket.said()) at.push([ms, orders.length]);
    }
    client.close();
    sockets.splice(0);
  }
  assert.equal(at.length, 20, 'one message a page');
  assert.ok(at.every(([, orders]) => orders === 3));
  const most = Math.max(...at.map(([ms]) => at.filter(([other]) => other === ms).length));
  assert.ok(most <= 2, `${most} of 20 pages in the same tenth of a second`);
});

test('what is asked for and does not come is asked for less and less often', async () => {
  const { client, socket } = await following(['a'], { backoffFirstMs: 1_000, backoffMaxMs: 16_000 });
  socket.hear(update('a', 1));
  socket.hear(update('a', 3));
  let asked = 0;
  for (let s = 0; s < 60; s += 1) {
    await pass(1_000);
    if (socket.said().some(({ action }) => action === 'subscribe')) {
      asked += 1;
      socket.hear({ ...update('a', 1), events: [] });
    }
    socket.hear({ type: 'pong' });
  }
  assert.ok(asked <= 7, `${asked} times in a minute`);
  client.close();
});

test('an order that fails the gateway does not keep the others from being served', async () => {
  const orderIds = Array.from({ length: 100 }, (_, index) => `o${index}`);
  const { client, socket, seen } = await following(orderIds);
  const messages = [];
  for (let s = 0; s < 30; s += 1) {
    for (let said = socket.said(); said.length > 0; said = socket.said()) {
      for (const { action, orders } of said) {
        if (action !== 'subscribe') continue;
        messages.push(orders.map(({ orderId }) => orderId));
        if (orders.some(({ orderId }) => orderId === 'o7')) {
          socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
        } else for (const { orderId } of orders) socket.hear(update(orderId, 1));
      }
      await settled();
    }
    await pass(1_000);
  }
  assert.equal(new Set(seen.map(({ orderId }) => orderId)).size, 99);
  assert.deepEqual(messages[0].length, 100);
  assert.ok(messages.slice(1).every((orders) => orders.length === 1), 'one by one');
  const again = messages.filter((orders) => orders.includes('o7')).length;
  assert.ok(again <= 8, `${again} times in half a minute`);
  // Other orders are served, so that the next failure is not taken for one of the whole gateway.
  client.subscribe('x', () => {});
  await settled();
  socket.hear(update('x', 1));
  for (const orderId of ['y', 'z']) client.subscribe(orderId, () => {});
  await settled();
  socket.said();
  socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
  await pass(1_001);
  assert.ok(socket.said().some(({ orders }) => orders?.[0].orderId === 'y'));
  client.close();
});

test('an order that failed the gateway is asked for alone until it is answered, whatever is pushed meanwhile', async () => {
  const { client, socket } = await following(['a', 'b']);
  socket.said();
  socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
  for (const orderId of ['a', 'b']) socket.hear(update(orderId, 1));
  await pass(2_001);
  assert.deepEqual(socket.said().map(({ orders }) => orders.length), [1]);
  client.close();
});

test('orders that are asked for one by one wait for each other, and once they are answered go together again', async () => {
  const { client, socket } = await following(['a', 'b']);
  socket.said();
  socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
  await pass(2_001);
  socket.hear({ type: 'pong' });
  await settled();
  assert.deepEqual(socket.said().map(({ orders }) => orders[0].orderId), ['a']);
  socket.hear(update('a', 1));
  await settled();
  assert.deepEqual(socket.said().map(({ orders }) => orders[0].orderId), ['b']);
  socket.hear(update('b', 1));
  socket.end();
  await pass(500);
  sockets[1].open();
  await settled();
  assert.deepEqual(sockets[1].said().map(({ orders }) => orders.length), [2]);
  client.close();
});

test('while the gateway fails on everything, orders are tried one at a time and less and less often', async () => {
  const orderIds = Array.from({ length: 100 }, (_, index) => `o${index}`);
  const { client, socket } = await following(orderIds);
  let messages = 0;
  for (let s = 0; s < 120; s += 1) {
    for (let said = socket.said(); said.length > 0; said = socket.said()) {
      messages += said.filter(({ action }) => action === 'subscribe').length;
      socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
      await settled();
    }
    await pass(1_000);
  }
  assert.ok(messages <= 12, `${messages} messages in two minutes`);
  client.close();
});

test('an answer that does not come at all is asked for again', async () => {
  const { client, socket, seen } = await following(['a', 'b']);
  socket.hear(update('b', 1));
  socket.said();
  for (let s = 0; s < 61; s += 1) {
    await pass(1_000);
    socket.hear({ type: 'pong' });
  }
  const asked = socket.said().filter(({ action }) => action === 'subscribe');
  assert.deepEqual(asked, [{ action: 'subscribe', orders: [{ orderId: 'a' }] }]);
  socket.hear(update('a', 1));
  assert.deepEqual(seen.map(({ orderId }) => orderId), ['b', 'a']);
  client.close();
});

test('an answer whose messages or parts come slowly is not asked for again', async () => {
  const { client, socket } = await following(['a']);
  socket.hear(update('a', 1));
  const history = client.order('a').history({ from: 1, to: 5 });
  await settled();
  socket.said();
  for (let version = 1; version < 5; version += 1) {
    await pass(25_000);
    socket.hear({ type: 'history', orderId: 'a', version, events: [{ version }], more: true });
  }
  for (let part = 1; part < 6; part += 1) {
    await pass(25_000);
    socket.hear({ type: 'part', id: 'x', part, parts: 7, orderId: 'a', version: 5, text: '' });
  }
  socket.hear({ type: 'history', orderId: 'a', version: 5, events: [{ version: 5 }], projection: {} });
  assert.equal((await history).events.length, 5);
  assert.deepEqual(socket.said().filter(({ action }) => action === 'history'), []);
  client.close();
});

test('an order that gets another owner ends without having been asked for', async () => {
  const { client, socket, errors } = await following(['a', 'b']);
  socket.hear(update('a', 1));
  socket.hear(update('b', 1));
  socket.hear({ type: 'error', code: 'forbidden', message: 'no', requestId: '', orderId: 'a' });
  assert.deepEqual(errors.map(({ code }) => code), ['forbidden']);
  client.close();
});

test('a clock that is set back delays nothing', async () => {
  const { client, socket } = await following(['a'], { backoffFirstMs: 1_000 });
  socket.said();
  socket.hear({ type: 'error', code: 'internal', message: 'try again', orderId: 'a' });
  Date.now = () => 0;
  await pass(2_000);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a' }] }]);
  client.close();
});
