// A WebSocket without a network, and clocks that tests turn.

import { beforeEach, mock } from 'node:test';

import { connect } from '../src/index.js';

/** Every socket that the client opened. */
export const sockets = [];


/** A browser's WebSocket, at the other end of which the test is the gateway. */
class FakeSocket {
  readyState = 0;
  sent = [];
  constructor(url, protocols) {
    // As a browser does.
    if (!protocols.every((protocol) => /^[\w!#$%&'*+.^`|~-]+$/.test(protocol))) throw new SyntaxError('a bad protocol');
    Object.assign(this, { url, protocols });
    sockets.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.readyState = 3;
  }
  open() {
    this.readyState = 1;
    this.onopen();
  }
  hear(message) {
    this.onmessage({ data: typeof message === 'string' ? message : JSON.stringify(message) });
  }
  end() {
    this.readyState = 3;
    this.onclose();
  }
  /** What was said, without what came before the last look. */
  said() {
    return this.sent.splice(0);
  }
}

/** An update with events `first` to `version`. */
export const update = (orderId, version, first = version) => ({
  type: 'update',
  orderId,
  version,
  events: Array.from({ length: version - first + 1 }, (_, index) => ({ version: first + index, ref: String(first + index) })),
  projection: { version },
});

/** Everything that is due at this moment is done. */
export const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => {
  sockets.splice(0);
  globalThis.WebSocket = FakeSocket;
  mock.timers.reset();
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
  mock.method(Math, 'random', () => 1);
});

/** Lets time pass, and what it sets off. */
export async function pass(ms) {
  mock.timers.tick(ms);
  await settled();
}

/** A client that follows orders on an open connection. */
export async function following(orderIds, options = {}) {
  const client = connect({ url: 'ws://gateway', ...options });
  const seen = [];
  const errors = [];
  const stops = orderIds.map((id) => client.subscribe(id, (update) => seen.push(update), { error: (error) => errors.push(error) }));
  await settled();
  sockets[0].open();
  await settled();
  return { client, seen, errors, stops, socket: sockets[0] };
}
