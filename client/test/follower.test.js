// The vectors of shared/protocol/src/follower.rs, for its twin in JavaScript.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Follower } from '../src/follower.js';

const event = (version) => ({ version, ref: String(version), ts: 0, data: { n: version } });

/** An update with events `first` to `last`, none if `first` is greater. */
function update(first, last, more = {}) {
  const events = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => event(first + index));
  return { type: 'update', version: last, events, projection: { n: last }, ...more };
}

const fresh = (outcome) => outcome.fresh?.events.map(({ version }) => version);

test('events that it has are dropped', () => {
  const follower = new Follower();
  assert.deepEqual(follower.accept(update(8, 7)).fresh, { version: 7, events: [], projection: { n: 7 }, reset: false });
  assert.deepEqual(fresh(follower.accept(update(8, 8))), [8]);
  assert.equal(follower.accept(update(8, 8)).fresh, undefined);
  assert.deepEqual(fresh(follower.accept(update(7, 10))), [9, 10]);
  assert.equal(follower.accept(update(7, 7)).fresh, undefined);
  assert.deepEqual(follower.projection, { n: 10 });
});

test('a gap is noticed and healed by a resume', () => {
  const follower = new Follower();
  follower.accept(update(6, 5));
  assert.equal(follower.accept(update(7, 7)).isAnswer, false);
  assert.ok(follower.isBehind);
  assert.deepEqual(follower.since, { since: 5 });
  assert.deepEqual(fresh(follower.accept(update(6, 8))), [6, 7, 8]);
  assert.deepEqual([follower.isBehind, follower.since], [false, { since: 8, ref: '8' }]);
  assert.equal(follower.accept({ ...update(9, 9), events: [] }).fresh, undefined);
  assert.ok(follower.isBehind, 'an update without its events is a gap');
});

test('an order that is hidden is not resumed for ever', () => {
  const follower = new Follower(0);
  follower.accept(update(7, 7));
  assert.ok(follower.isBehind);
  follower.asked();
  assert.equal(follower.accept(update(1, 0)).isAnswer, true);
  assert.ok(!follower.isBehind);
  follower.accept(update(8, 8));
  assert.ok(follower.isBehind);
});

test('a push before the answer about a hidden order is not forgotten', () => {
  const follower = new Follower();
  follower.accept(update(2, 1));
  follower.asked();
  follower.accept(update(3, 3));
  assert.equal(follower.accept(update(1, 0, { reset: true })).isAnswer, true);
  assert.ok(follower.isBehind);
});

test('a push before the snapshot is not lost', () => {
  const follower = new Follower();
  follower.accept(update(7, 7));
  assert.equal(follower.accept(update(7, 6)).fresh, undefined);
  assert.equal(follower.version, 7);
});

test('a reset starts over below', () => {
  const follower = new Follower(40);
  const outcome = follower.accept({ ...update(2, 2), events: [], reset: true });
  assert.deepEqual(outcome.fresh, { version: 2, events: [], projection: { n: 2 }, reset: true });
  assert.deepEqual(fresh(follower.accept(update(3, 3))), [3]);
});

test('a long resume is one update, with the projection at its end', () => {
  const follower = new Follower(0);
  const first = follower.accept(update(1, 3, { projection: undefined, more: true }));
  assert.deepEqual([first.isAnswer, first.fresh], [false, undefined]);
  const last = follower.accept(update(4, 5));
  assert.deepEqual([last.isAnswer, fresh(last)], [true, [1, 2, 3, 4, 5]]);
});

test('an update that is known to be lost is a gap if it is news', () => {
  const follower = new Follower();
  follower.accept(update(6, 5));
  follower.missed(5);
  assert.ok(!follower.isBehind);
  follower.missed(7);
  assert.ok(follower.isBehind);
  follower.accept(update(6, 7));
  assert.ok(!follower.isBehind);
});

test('another projection of the same version is shown without events', () => {
  const follower = new Follower();
  follower.accept(update(8, 7));
  const other = update(8, 7, { projection: { n: 70 }, refolded: true });
  const shown = { version: 7, events: [], projection: { n: 70 }, reset: false };
  assert.deepEqual(follower.accept(other), { isAnswer: true, fresh: shown });
  assert.deepEqual(follower.accept(other), { isAnswer: true });
  // Whoever was away when it was pushed hears of it by the answer to a resume.
  const answer = update(8, 7, { projection: { n: 71 } });
  assert.deepEqual(follower.accept(answer).fresh.projection, { n: 71 });
  assert.deepEqual(fresh(follower.accept(update(8, 8))), [8]);
});
