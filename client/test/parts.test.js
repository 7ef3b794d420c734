// The vectors of shared/protocol/src/parts.rs, for its twin in JavaScript; and what a client does about a loss.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { INCOMPLETE_MAX, Parts } from '../src/parts.js';
import { following, pass, settled, update } from './sockets.js';

/** A part of an update of an order; the default is one of two parts. */
const part = (id, number, text, more = {}) => ({ type: 'part', id, part: number, parts: 2, orderId: id, version: 7, text, ...more });
const named = (lost) => lost.map(({ orderId, version }) => [orderId, version]);

/** A message in so many parts, as the gateway cuts it. */
function cut(message, parts, more = {}) {
  const text = JSON.stringify(message);
  const length = Math.ceil(text.length / parts);
  const names = { orderId: message.orderId, version: message.version, ...more };
  return Array.from({ length: parts }, (_, index) =>
    ({ type: 'part', id: `${message.orderId}-${message.version}`, part: index + 1, parts, ...names, text: text.slice(index * length, (index + 1) * length) }));
}

const assembler = (incompleteMax = INCOMPLETE_MAX) => new Parts({ incompleteMax, parse: JSON.parse });

test('parts in any order are one message, and those of another do not disturb', () => {
  const parts = assembler();
  assert.deepEqual(parts.take(part('a', 2, '1}')), { lost: [] });
  assert.deepEqual(parts.take(part('b', 1, '{"b":')), { lost: [] });
  assert.deepEqual(parts.take(part('a', 2, '1}')), { lost: [] }, 'a part that comes twice');
  assert.deepEqual(parts.take(part('a', 1, '{"a":')), { whole: { a: 1 }, lost: [] });
  assert.deepEqual(parts.take(part('b', 2, '3}')), { whole: { b: 3 }, lost: [] });
});

test('updates to a hundred orders of 400 KB whose parts are interleaved all arrive', () => {
  const parts = assembler();
  const messages = Array.from({ length: 100 }, (_, index) => cut({ orderId: `o${index}`, version: 7, blob: 'x'.repeat(400_000) }, 4));
  const whole = [];
  for (const number of [0, 1, 2, 3]) {
    for (const message of messages) {
      const taken = parts.take(message[number]);
      assert.deepEqual(taken.lost, []);
      if (taken.whole) whole.push(taken.whole.orderId);
    }
  }
  assert.equal(new Set(whole).size, 100);
});

test('beyond the bound the message that has not grown for longest is given up and named', () => {
  const parts = assembler(3_000);
  const text = 'x'.repeat(200);
  assert.deepEqual(parts.take(part('a', 1, text, { parts: 3 })).lost, []);
  assert.deepEqual(parts.take(part('b', 1, text, { parts: 3 })).lost, []);
  assert.deepEqual(parts.take(part('a', 2, text, { parts: 3 })).lost, []);
  assert.deepEqual(named(parts.take(part('c', 1, text, { parts: 3 })).lost), [['b', 7]]);
});

test('a part that contradicts itself or the others is a loss', () => {
  for (const wrong of [{ part: 0 }, { part: 3 }, { parts: 1e6 }, { text: 7 }])
    assert.deepEqual(named(assembler().take(part('a', 1, '{', wrong)).lost).at(-1), ['a', 7], JSON.stringify(wrong));
  for (const other of [{ parts: 3 }, { version: 8 }, { orderId: 'b' }, { part: 1 }, { orderId: undefined, version: undefined }]) {
    const parts = assembler();
    parts.take(part('a', 1, '{'));
    assert.deepEqual(named(parts.take(part('a', 2, '}', other)).lost)[0], ['a', 7], JSON.stringify(other));
    assert.deepEqual(parts.take(part('a', 2, '}')), { lost: [] }, 'it begins anew');
  }
  const parts = assembler();
  parts.take(part('a', 1, '{'));
  assert.deepEqual(named(parts.take(part('a', 2, '{')).lost), [['a', 7]], 'it is no JSON');
});

test('late parts of whole messages take bounded room', () => {
  const parts = assembler(50_000);
  for (let version = 1; version <= 100; version += 1) {
    const frames = cut({ orderId: 'o', version, blob: 'x'.repeat(10_000) }, 3);
    assert.equal(frames.filter((frame) => parts.take(frame).whole).length, 1, `${version}`);
    for (const { orderId } of parts.take(frames[0]).lost) assert.equal(orderId, 'o');
  }
});

test('what is no object is unreadable', () => {
  for (const text of ['', '7', 'null', '[]', '"x"', '{']) assert.equal(assembler().read(text), undefined, text);
});

test('an update that is dropped is asked for, and an answer that is dropped is asked for again', async () => {
  const { client, socket, seen } = await following(['a', 'b', 'c'], { incompleteMax: 2_000 });
  for (const orderId of ['a', 'b']) socket.hear(update(orderId, 1));
  socket.said();
  const large = (orderId, version) => cut({ ...update(orderId, version), blob: 'x'.repeat(900) }, 2);
  // The answer for c, an update of a that it has, an update of b that is news: each gives way to the next one.
  for (const [frame] of [large('c', 1), large('a', 1), large('b', 2), large('z', 1), large('y', 1)]) socket.hear(frame);
  await pass(2_000);
  const asked = socket.said().flatMap(({ action, orders }) => (action === 'subscribe' ? orders.map(({ orderId }) => orderId) : []));
  assert.deepEqual(asked.sort(), ['b', 'c']);
  socket.hear(update('b', 2));
  socket.hear(update('c', 1));
  await settled();
  assert.deepEqual(seen.map(({ orderId, version }) => [orderId, version]), [['a', 1], ['b', 1], ['b', 2], ['c', 1]]);
  client.close();
});

test('after a loss without a name every order of the connection is asked for', async () => {
  const { client, socket } = await following(['a', 'b']);
  for (const orderId of ['a', 'b']) socket.hear(update(orderId, 1));
  socket.said();
  const [first] = cut(update('a', 2), 2, { orderId: undefined, version: undefined });
  socket.hear(first);
  socket.hear({ ...first, parts: 3 });
  await pass(2_000);
  const asked = socket.said().flatMap(({ action, orders }) => (action === 'subscribe' ? orders.map(({ orderId }) => orderId) : []));
  assert.deepEqual(asked.sort(), ['a', 'b']);
  client.close();
});

test('of a history whose answer is dropped and asked for again, late texts of the first answer are not mixed in', async () => {
  const { client, socket } = await following(['b']);
  const text = (from, to, more) => ({ type: 'history', orderId: 'a', version: to, events: update('a', to, from).events, ...(more ? { more } : { projection: { n: to } }) });
  const history = client.order('a').history({ from: 1, to: 6 });
  await settled();
  socket.hear(text(1, 2, true));
  const [first] = cut(text(3, 4, true), 2);
  socket.hear(first);
  socket.hear({ ...first, parts: 3 });
  await pass(2_000);
  assert.equal(socket.said().filter(({ action }) => action === 'history').length, 2);
  socket.hear(text(5, 6));
  for (const message of [text(1, 2, true), text(3, 4, true), text(5, 6)]) socket.hear(message);
  const { events } = await history;
  assert.deepEqual(events.map(({ version }) => version), [1, 2, 3, 4, 5, 6]);
  client.close();
});
