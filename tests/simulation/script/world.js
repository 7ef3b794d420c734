// What a browser is to @foldcast/client: sockets, timers, a clock and chance, all of them the simulation's; and the pages
// that use it. Nothing happens by itself: the simulation calls a function of this module, and learns from its `effects`
// what the pages have done since.

import { connect } from './index.js';

/** Timers that are shorter end a pause; longer ones only watch over a connection. */
const PAUSE_MAX_MS = 5_000;

/** Of the client; its own defaults are for people, who have longer than the simulation. */
const OPTIONS = {
  pingAfterMs: 20_000,
  pongWithinMs: 20_000,
  openWithinMs: 60_000,
  backoffFirstMs: 50,
  backoffMaxMs: 1_000,
  resumeWithinMs: 100,
};

let now = 0;
let made = 0;
let seed = 1;
let effects = [];
const timers = new Map();
const sockets = new Map();
const clients = new Map();

globalThis.setTimeout = (run, ms = 0) => {
  made += 1;
  timers.set(made, { run, at: now + ms, isPause: ms < PAUSE_MAX_MS });
  return made;
};
globalThis.clearTimeout = (id) => timers.delete(id);
globalThis.setInterval = () => {
  throw new Error('the client has no interval');
};
Date.now = () => now;
// Mulberry32: every seed has its own chance, and the same seed the same.
Math.random = () => {
  seed = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
  return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
};
globalThis.TextEncoder = class {
  encode(text) {
    return { length: unescape(encodeURIComponent(text)).length };
  }
};
globalThis.reportError = (error) => {
  throw error;
};

globalThis.WebSocket = class {
  readyState = 0;
  onopen = null;
  onclose = null;
  onmessage = null;

  constructor(url) {
    made += 1;
    this.id = made;
    this.browser = Number(url.split('/').pop());
    sockets.set(this.id, this);
    effects.push({ open: { browser: this.browser, socket: this.id } });
  }

  send(text) {
    effects.push({ say: { browser: this.browser, socket: this.id, text } });
  }

  close() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    sockets.delete(this.id);
    effects.push({ close: { browser: this.browser, socket: this.id } });
  }
};

/** What a world has of its own: its chance, and the room of its pages for incomplete messages. */
export function plant(number, incompleteMax) {
  seed = number;
  OPTIONS.incompleteMax = incompleteMax;
}

/** A page follows an order; what it is shown is an effect. */
export function follow(browser, orderId, since) {
  let client = clients.get(browser);
  if (!client) clients.set(browser, (client = connect({ ...OPTIONS, url: `wss://simulation/${browser}` })));
  const next = ({ version, events, projection, reset }) => {
    const versions = events.map((event) => event.version);
    effects.push({ show: { browser, orderId, version, versions, reset, projection: JSON.stringify(projection) } });
  };
  const error = ({ code, message }) => effects.push({ fail: { browser, orderId, code, message } });
  client.subscribe(orderId, next, { since: since ?? undefined, error });
}

/** The clock moves on. */
export function tick(to) {
  now = to;
  const due = [...timers].filter(([, { at }]) => at <= now).sort(([one, { at }], [other, timer]) => at - timer.at || one - other);
  for (const [id, { run }] of due) if (timers.delete(id)) run();
}

export function opened(socket) {
  const opening = sockets.get(socket);
  opening.readyState = 1;
  opening.onopen?.({});
}

export function closed(socket) {
  const closing = sockets.get(socket);
  if (!closing) return;
  closing.readyState = 3;
  sockets.delete(socket);
  closing.onclose?.({});
}

export function heard(socket, data) {
  sockets.get(socket)?.onmessage?.({ data });
}

/** What the pages did since the last time, when the next timer is due, and how many pauses are under way. */
export function drain() {
  const did = effects;
  effects = [];
  const waiting = [...timers.values()];
  const next = Math.min(...waiting.map(({ at }) => at));
  const pauses = waiting.filter(({ isPause }) => isPause).length;
  return JSON.stringify({ effects: did, next: Number.isFinite(next) ? Math.ceil(next) : null, pauses });
}
