// Whether orders are level with their logs: when that is asked, and what a page is told of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { following, pass, settled, sockets, update } from './sockets.js';

const heads = (orders) => ({ type: 'heads', orders });
const asked = (socket, action = 'heads') => socket.said().filter((message) => message.action === action);

/** A client whose orders are at version 1. */
async function level(orderIds, options) {
  const given = await following(orderIds, options);
  for (const orderId of orderIds) given.socket.hear(update(orderId, 1));
  await settled();
  given.socket.said();
  return given;
}

/** Lets time pass on a connection on which every ping is answered. */
async function passAlive(socket, seconds) {
  const said = [];
  for (let s = 0; s < seconds; s += 1) {
    await pass(1_000);
    for (const message of socket.said()) {
      if (message.action === 'ping') socket.hear({ type: 'pong' });
      else said.push(message);
    }
  }
  return said;
}

test('heads are asked for every three minutes, and only what differs is asked for again', async () => {
  const { client, socket, seen } = await level(['a', 'b', '__proto__']);
  assert.deepEqual(await passAlive(socket, 179), []);
  const [question] = await passAlive(socket, 1);
  assert.deepEqual(JSON.stringify(question), '{"action":"heads","orders":{"a":1,"b":1,"__proto__":1}}');
  socket.hear(heads({ b: 2 }));
  await pass(2_000);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'b', since: 1, ref: '1' }] }]);
  socket.hear(update('b', 2));
  await settled();
  assert.deepEqual(seen.at(-1).orderId, 'b');
  client.close();
});

test('a head that arrives as an update meanwhile is not asked for', async () => {
  const { client, socket } = await level(['a']);
  await passAlive(socket, 180);
  socket.hear(heads({ a: 2 }));
  socket.hear(update('a', 2));
  await pass(2_000);
  assert.deepEqual(socket.said(), []);
  client.close();
});

test('an order whose log is another one, or is not shown any more, is asked for again', async () => {
  const { client, socket, seen } = await level(['a']);
  await passAlive(socket, 180);
  socket.hear(heads({ a: 0 }));
  await pass(500);
  assert.deepEqual(socket.said(), [{ action: 'subscribe', orders: [{ orderId: 'a', since: 1, ref: '1' }] }]);
  socket.hear({ type: 'update', orderId: 'a', version: 0, events: [], projection: {}, reset: true });
  assert.deepEqual([seen.at(-1).version, seen.at(-1).reset], [0, true]);
  client.close();
});

test('each page asks at its own time', async (t) => {
  const at = [];
  for (const random of [0, 0.5, 1]) {
    t.mock.method(Math, 'random', () => random);
    const { client, socket } = await level(['a']);
    for (let s = 1; s <= 180; s += 1) if ((await passAlive(socket, 1)).length > 0) at.push(s);
    client.close();
    sockets.splice(0);
  }
  assert.deepEqual([at[0], at.includes(135), at.at(-1)], [90, true, 180]);
});

test('more orders than one message takes are asked for a hundred at a time, one after the other', async () => {
  const orderIds = Array.from({ length: 250 }, (_, index) => `o${index}`);
  const { client, socket } = await level(orderIds);
  const [first, ...more] = await passAlive(socket, 180);
  assert.deepEqual([Object.keys(first.orders).length, more], [100, []]);
  const counts = [];
  for (let index = 0; index < 3; index += 1) {
    socket.hear(heads({}));
    counts.push(...asked(socket).map(({ orders }) => Object.keys(orders).length));
  }
  assert.deepEqual(counts, [100, 50]);
  client.close();
});

test('a connection on which heads are not answered is given up', async () => {
  const { client, socket } = await level(['a']);
  await passAlive(socket, 180);
  socket.hear(update('b', 1));
  await pass(10_000);
  assert.equal(socket.readyState, 3);
  client.close();
});

test('what fails while heads are asked for costs neither the connection nor an order', async () => {
  const { client, socket, errors } = await level(['a']);
  await passAlive(socket, 180);
  socket.hear('{"message": "Internal server error", "connectionId":"x=", "requestId":"y="}');
  assert.deepEqual(await passAlive(socket, 170), []);
  assert.equal(socket.readyState, 1);
  assert.equal((await passAlive(socket, 10)).length, 1, 'it is asked again the next time');
  assert.deepEqual(errors, []);
  client.close();
});

test('a gateway that does not know heads is not asked again, and no order ends', async () => {
  const { client, socket, errors, seen } = await level(['a'], { renewAfterMs: 1_000_000 });
  await passAlive(socket, 180);
  client.subscribe('b', () => {}, { error: (error) => errors.push(error) });
  await settled();
  assert.deepEqual(asked(socket, 'subscribe').length, 1);
  socket.hear({ type: 'error', code: 'bad_request', message: 'the "action" is unknown', requestId: 'r' });
  socket.hear(update('b', 1));
  socket.hear(update('a', 2));
  assert.deepEqual(await passAlive(socket, 700), []);
  assert.deepEqual([errors, seen.at(-1).version, socket.readyState], [[], 2, 1]);
  client.close();
});

test('heads are asked for when a page is seen again, not while it is hidden', async (t) => {
  const page = new EventTarget();
  Object.assign(page, { visibilityState: 'hidden' });
  globalThis.document = page;
  t.after(() => delete globalThis.document);
  const { client, socket } = await level(['a']);
  assert.deepEqual(await passAlive(socket, 400), []);
  page.visibilityState = 'visible';
  page.dispatchEvent(new Event('visibilitychange'));
  assert.deepEqual(socket.said(), [{ action: 'heads', orders: { a: 1 } }]);
  client.close();
});

test('heads are asked for after anything odd, and once for many odd things', async () => {
  for (const odd of ['{', '7', '{"type":"update","orderId":"a"}', '{"type":"part","orderId":"z"}']) {
    const { client, socket } = await level(['a']);
    socket.hear(odd);
    socket.hear(odd);
    assert.deepEqual(socket.said(), []);
    await pass(2_500);
    assert.equal(asked(socket).length, 1, odd);
    client.close();
    sockets.splice(0);
  }
});

test('heads are asked for once more if something odd happens while they are asked for', async () => {
  const { client, socket } = await level(['a']);
  await passAlive(socket, 180);
  socket.hear('{');
  await pass(2_000);
  assert.deepEqual(socket.said(), []);
  socket.hear(heads({}));
  await pass(2_000);
  assert.equal(asked(socket).length, 1);
  client.close();
});

test('heads are asked for after a ping that was answered late', async () => {
  const { client, socket } = await level(['a']);
  await pass(60_000);
  await pass(4_000);
  socket.hear({ type: 'pong' });
  await pass(2_000);
  assert.deepEqual(asked(socket), [], 'that was in time');
  await pass(58_000);
  await pass(6_000);
  socket.hear({ type: 'pong' });
  await pass(2_000);
  assert.equal(asked(socket).length, 1);
  client.close();
});

test('an order is current while it is subscribed, not behind, and was level not long ago', async () => {
  const { client, socket } = await following(['a']);
  const order = client.order('a');
  const told = [];
  client.subscribe('a', () => {}, { current: (isCurrent) => told.push(isCurrent) });
  await settled();
  assert.deepEqual([order.isCurrent, told], [false, [false]], 'nothing is answered');
  socket.hear(update('a', 1));
  await settled();
  assert.deepEqual([order.isCurrent, told.splice(0)], [true, [false, true]]);
  socket.hear(update('a', 3));
  await settled();
  assert.deepEqual([order.isCurrent, told.splice(0)], [false, [false]], 'it is behind');
  socket.hear(update('a', 3, 2));
  await settled();
  assert.deepEqual([order.isCurrent, told.splice(0)], [true, [true]]);
  socket.end();
  await settled();
  assert.deepEqual([order.isCurrent, told.splice(0)], [false, [false]], 'it is not connected');
  client.close();
  assert.equal(order.isCurrent, false);
});

test('what was level ends being current without an update, and is current again with the next answer', async (t) => {
  const { client, socket } = await level(['a']);
  const told = [];
  client.subscribe('a', () => {}, { current: (isCurrent) => told.push(isCurrent) });
  for (const seconds of [180, 171, 171]) {
    assert.equal((await passAlive(socket, seconds)).length, 1);
    await pass(9_000);
    socket.hear(heads({}));
    await settled();
  }
  assert.deepEqual(told, [true], 'while heads are answered in time');
  // A gateway that answers nothing but pings, and knows no heads.
  await passAlive(socket, 171);
  socket.hear({ type: 'error', code: 'bad_request', message: 'the "action" is unknown', requestId: 'r' });
  await passAlive(socket, 9);
  assert.deepEqual(told, [true]);
  await passAlive(socket, 1);
  assert.deepEqual(told, [true, false]);
  assert.equal(client.order('a').isCurrent, false);
  client.close();
});

test('of what was level by a clock that was set back since, nothing is known', async (t) => {
  const { client } = await level(['a']);
  const now = Date.now();
  assert.equal(client.order('a').isCurrent, true);
  t.mock.method(Date, 'now', () => now - 3_600_000);
  assert.equal(client.order('a').isCurrent, false);
  client.close();
});

test('an order is not level while the answer names it, or an error does', async () => {
  const { client, socket } = await level(['a', 'b', 'c', 'constructor']);
  await passAlive(socket, 180);
  socket.hear({ type: 'error', code: 'internal', message: 'the item is malformed', requestId: 'r', orderId: 'b' });
  socket.hear(heads({ a: 2 }));
  await passAlive(socket, 11);
  const areCurrent = ['a', 'b', 'c', 'constructor'].map((orderId) => client.order(orderId).isCurrent);
  assert.deepEqual(areCurrent, [false, false, true, true]);
  client.close();
});
