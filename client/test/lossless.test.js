// Numbers that JavaScript rounds, and keys that mean something to one parser or another.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Parts } from '../src/parts.js';
import { parseLossless } from '../src/lossless.js';

const KEYS = ['$serde_json::private::Number', '$serde_json::private::RawValue', '__proto__', 'constructor', '', '0', '12', 'é', '#', '##9', 'a"b\\'];

/** Draws from a seed, the same each time. */
function draws(seed) {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Any JSON as a text, and what is to be read of it: numbers as texts. */
function any(draw, depth = 0) {
  const kind = draw(depth < 4 ? 8 : 6);
  if (kind === 0) return { text: 'null', value: null };
  if (kind === 1) return { text: 'true', value: true };
  if (kind < 4) {
    const digits = (count) => Array.from({ length: count }, () => draw(10)).join('');
    const whole = draw(4) === 0 ? '0' : `${1 + draw(9)}${digits(draw(37))}`;
    const text = `${draw(2) ? '-' : ''}${whole}${draw(3) === 0 ? `.${digits(1 + draw(6))}` : ''}${draw(4) === 0 ? `e${draw(2) ? '-' : '+'}${draw(99)}` : ''}`;
    return { text, value: { number: text } };
  }
  if (kind < 6) {
    const value = ['', '#1', '9007199254740993', 'a "quoted" 12345678901234567890', '\\', '"', '\u{1}\u{2028}𝄞'][draw(7)];
    return { text: JSON.stringify(value), value };
  }
  const items = Array.from({ length: draw(5) }, () => any(draw, depth + 1));
  if (kind === 6) return { text: `[${items.map(({ text }) => text).join(' , ')}]`, value: items.map(({ value }) => value) };
  const fields = new Map(items.map((item, index) => [KEYS[(draw(KEYS.length) + index) % KEYS.length], item]));
  const text = [...fields].map(([key, item]) => `${JSON.stringify(key)}: ${item.text}`).join(',');
  return { text: `{${text}}`, value: new Map([...fields].map(([key, item]) => [key, item.value])) };
}

/** What is read is the value, with no digit of a number lost. */
function compare(read, value, text) {
  if (value instanceof Map) {
    assert.deepEqual(Object.keys(read).sort(), [...value.keys()].sort(), text);
    for (const [key, own] of value) compare(Object.getOwnPropertyDescriptor(read, key).value, own, text);
  } else if (Array.isArray(value)) {
    assert.equal(read.length, value.length, text);
    value.forEach((own, index) => compare(read[index], own, text));
  } else if (value?.number !== undefined) {
    const whole = !/[.e]/.test(value.number);
    if (typeof read === 'bigint') assert.deepEqual([String(read), whole], [value.number, true]);
    else if (typeof read === 'string') assert.deepEqual([read, whole], [value.number, false]);
    else assert.equal(read, Number(value.number));
    if (typeof read === 'number' && whole) assert.ok(Number.isSafeInteger(read), value.number);
  } else assert.equal(read, value, text);
}

test('any JSON is read whole, its keys are keys, and no digit is lost', () => {
  for (let seed = 1; seed <= 5_000; seed++) {
    const { text, value } = any(draws(seed));
    compare(parseLossless(text), value, text);
  }
});

test('any JSON is the same object to the default parser, but for digits', () => {
  for (let seed = 1; seed <= 2_000; seed++) {
    const { text } = any(draws(seed));
    assert.deepEqual(new Parts({ incompleteMax: 0, parse: JSON.parse }).read(`{"data":${text}}`), JSON.parse(`{"data":${text}}`));
  }
});

test('a number stays a number where none of its value is lost', () => {
  const read = (text) => parseLossless(text);
  assert.deepEqual(read('[0.1, 1.50, 1e3, -0.0, 9007199254740991, 1.7976931348623157e308]'), [0.1, 1.5, 1000, -0, 9007199254740991, 1.7976931348623157e308]);
  assert.deepEqual(read('[9007199254740993, -9007199254740993]'), [9007199254740993n, -9007199254740993n]);
  assert.deepEqual(read('[0.12345678901234567890, 1e400, 1e-400, 9007199254740993.0]'), ['0.12345678901234567890', '1e400', '1e-400', '9007199254740993.0']);
});

test('what is no JSON is refused as ever', () => {
  for (const text of ['', '{', '01', '1.', '-', '[1,]', '"a', '12345678901234567890x', '99999999999999999999.']) assert.throws(() => parseLossless(text), SyntaxError, text);
});
