// @foldcast/client: live orders in a browser.
//
// Owns: the one connection of a page: opening, renewing, giving up, and what is said on it when.
// Must not know: what an event means.
// Source: docs/client.md; rules 1 to 6 of "What a client does" in shared/protocol/README.md.

import { FoldcastError } from './errors.js';
import { Order, checked } from './order.js';
import { Parts } from './parts.js';

export { FoldcastError };

/**
 * @typedef {import('./protocol.d.ts').Event} Event `ts` is in microseconds since 1970.
 * @typedef {{orderId: string, version: number, events: Event[], projection: Record<string, any>, reset: boolean}} Update
 *   The events since the update before, and the projection after them. `reset` says that the log is another one: what came
 *   before is void.
 */

const DEFAULTS = {
  /** Longest silence before a ping; API Gateway ends a connection after 10 minutes of it. */
  pingAfterMs: 60_000,
  /** Longest wait for anything after a ping. */
  pongWithinMs: 10_000,
  /** Age at which a fresh connection takes over; API Gateway ends one after 2 hours. */
  renewAfterMs: 110 * 60_000,
  /** Time before the end of a token at which a fresh connection, with another token, takes over. */
  renewBeforeExpiryMs: 30_000,
  /** Time without any order after which the connection is closed. */
  restAfterMs: 10_000,
  /** Longest wait for a connection to open. */
  openWithinMs: 15_000,
  /** Longest pause before the first further try; it doubles, up to the other one. */
  backoffFirstMs: 500,
  backoffMaxMs: 30_000,
};

/** Orders and bytes of one subscribe: the gateway takes 100 orders, API Gateway 32 KB. */
const ORDERS_MAX = 100;
const MESSAGE_BYTES_MAX = 30_000;

/**
 * A client of the gateway at `url`. It connects when somebody looks at the first order.
 *
 * @param {{url: string, token?: string | (() => string | Promise<string>)} & Partial<typeof DEFAULTS>} options
 */
export function connect(options) {
  return new Foldcast({ ...DEFAULTS, ...options });
}

/** What `connect` gives. */
export class Foldcast {
  #options;
  /** @type {Map<string, Order>} */
  #orders = new Map();
  /** @type {WebSocket | undefined} The connection on which new things are said. */
  #current = undefined;
  /** @type {WebSocket | {close: (code?: number) => void} | undefined} */
  #opening = undefined;
  /** @type {Set<WebSocket>} Those that a fresh one is about to replace. */
  #old = new Set();
  /** Tries in a row that led to nothing. */
  #tries = 0;
  /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
  #timers = {};
  #isPumping = false;
  #isClosed = false;

  constructor(options) {
    this.#options = options;
    for (const [target, name] of wakers()) target?.addEventListener?.(name, this.#wake);
  }

  /**
   * An order to look at: an async iterable of updates, and requests about its log.
   *
   * @param {string} orderId
   * @param {{since?: number, signal?: AbortSignal}} [options] `since` begins after a version that is known already.
   * @returns {AsyncIterable<Update> & {
   *   orderId: string,
   *   history: (range: {from: number, to: number}) => Promise<Omit<Update, 'reset'>>,
   *   at: (version: number) => Promise<Pick<Update, 'version' | 'projection'>>,
   * }}
   */
  order(orderId, options = {}) {
    checked(orderId);
    const client = this;
    return {
      orderId,
      [Symbol.asyncIterator]: () => iterator(client, orderId, options),
      history: (range) => client.#history(orderId, range),
      at: async (version) => {
        const { projection } = await client.#history(orderId, { from: version, to: version });
        return { version, projection };
      },
    };
  }

  /**
   * Calls `next` with each update of an order until `signal` is aborted, or `error` once.
   *
   * @param {string} orderId
   * @param {(update: Update) => void} next
   * @param {{since?: number, signal?: AbortSignal, error?: (error: FoldcastError) => void}} [options]
   * @returns {() => void} Ends it as well.
   */
  subscribe(orderId, next, { since, signal, error = () => {} } = {}) {
    if (this.#isClosed) throw new FoldcastError('closed', 'the client was closed');
    const order = this.#order(checked(orderId), since);
    const leave = order.watch({ next, error });
    const stop = () => {
      leave();
      signal?.removeEventListener('abort', stop);
      this.#pump();
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    this.#pump();
    return stop;
  }

  /** Ends every order, request and connection. */
  close() {
    this.#isClosed = true;
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    for (const [target, name] of wakers()) target?.removeEventListener?.(name, this.#wake);
    for (const socket of [this.#current, this.#opening, ...this.#old]) socket?.close(1000);
    this.#current = this.#opening = undefined;
    for (const order of this.#orders.values()) order.end(new FoldcastError('closed', 'the client was closed'));
    this.#orders.clear();
  }

  #order(orderId, since) {
    let order = this.#orders.get(orderId);
    if (!order) this.#orders.set(orderId, (order = new Order(orderId, since)));
    return order;
  }

  /**
   * @param {string} orderId
   * @param {{from: number, to: number}} range
   * @returns {Promise<Omit<Update, 'reset'>>}
   */
  #history(orderId, { from, to }) {
    if (this.#isClosed) return Promise.reject(new FoldcastError('closed', 'the client was closed'));
    return new Promise((resolve, reject) => {
      this.#order(orderId).histories.push({ from, to, resolve, reject });
      this.#pump();
    });
  }

  /** Says what is due, all of this moment together. */
  #pump() {
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      if (!this.#isClosed) this.#say();
    });
  }

  #say() {
    for (const [orderId, order] of this.#orders) if (!order.isUsed) this.#orders.delete(orderId);
    const socket = this.#current;
    clearTimeout(this.#timers.rest);
    if (socket && this.#orders.size === 0) this.#timers.rest = setTimeout(() => this.#rest(), this.#options.restAfterMs);
    if (!socket) {
      if (this.#orders.size > 0 && !this.#opening && !this.#timers.backoff) this.#open();
      return;
    }
    const now = Date.now();
    const wanted = [];
    for (const order of this.#orders.values()) {
      const what = order.notBefore > now ? undefined : order.due(socket);
      if (what === 'subscribe') wanted.push(order.say(what, socket));
      else if (what === 'unsubscribe') send(socket, { action: what, orderId: order.say(what, socket).orderId });
      else if (what === 'history') {
        const { from, to } = order.histories[0];
        send(socket, { action: what, orderId: order.say(what, socket).orderId, from, to });
      }
    }
    for (const orders of chunks(wanted)) send(socket, { action: 'subscribe', orders });
    this.#retire();
  }

  /** Nobody has looked at an order for a while: the connection is not kept for nobody. */
  #rest() {
    const socket = this.#current;
    if (!socket) return;
    this.#current = undefined;
    for (const timer of [this.#timers.listen, this.#timers.renew]) clearTimeout(timer);
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close(1000);
  }

  async #open() {
    const { url, token, openWithinMs, renewAfterMs, renewBeforeExpiryMs } = this.#options;
    let renewInMs = renewAfterMs;
    const opening = { close() {} };
    this.#opening = opening;
    let socket;
    try {
      const value = typeof token === 'function' ? await token() : token;
      if (this.#isClosed || this.#opening !== opening) return;
      // A token that ends sooner than that has its connection ended by the gateway.
      const expiresInMs = expiry(value) - Date.now() - renewBeforeExpiryMs;
      if (expiresInMs > 0) renewInMs = Math.min(renewInMs, expiresInMs);
      // A sub-protocol is the one header that a page can set; an address would get into logs.
      socket = new WebSocket(url, value === undefined ? [] : ['foldcast', value]);
    } catch {
      if (this.#opening === opening) this.#failed();
      return;
    }
    const parts = new Parts();
    this.#opening = socket;
    this.#timers.open = setTimeout(() => this.#lose(socket), openWithinMs);
    socket.onopen = () => this.#opened(socket, renewInMs);
    socket.onclose = () => this.#lose(socket);
    socket.onmessage = ({ data }) => this.#heard(socket, parts, data);
  }

  #opened(socket, renewInMs) {
    clearTimeout(this.#timers.open);
    this.#opening = undefined;
    if (this.#current) this.#old.add(this.#current);
    this.#current = socket;
    this.#listen();
    clearTimeout(this.#timers.renew);
    this.#timers.renew = setTimeout(() => this.#renew(), renewInMs);
    this.#pump();
  }

  /** Takes a fresh connection while the one that is there goes on. */
  #renew() {
    if (!this.#opening && !this.#isClosed) this.#open();
  }

  /** Ends old connections once each order is subscribed on the fresh one. */
  #retire() {
    if (this.#old.size === 0) return;
    for (const order of this.#orders.values()) if (order.watchers.size > 0 && order.subscribedOn !== this.#current) return;
    for (const socket of this.#old) {
      this.#old.delete(socket);
      socket.close(1000);
    }
  }

  #heard(socket, parts, data) {
    if (socket === this.#current) {
      // Only a connection on which something comes is a good one.
      this.#tries = 0;
      this.#listen();
    }
    let message = parse(data);
    if (message?.type === 'part') message = parts.take(message);
    if (message === undefined) return;
    if (message.type === 'error' || message.type === undefined) this.#refused(socket, message);
    else this.#orders.get(message.orderId)?.take(message, socket);
    this.#pump();
  }

  /** An error of the gateway, or a frame of API Gateway's own, which has no type and names no order. */
  #refused(socket, { code = 'internal', message, requestId, orderId }) {
    const asked = [...this.#orders.values()].filter((order) => order.busy && order.busyOn === socket);
    for (const order of orderId === undefined ? asked : asked.filter((order) => order.orderId === orderId)) {
      if (code !== 'internal') {
        order.end(new FoldcastError(code, message, requestId));
      } else {
        // The row of an unsubscribe that failed may yet be deleted: the next subscribe is on another connection.
        if (order.failed() === 'unsubscribe') this.#renewAfter(order, socket);
        this.#again(order);
      }
    }
  }

  #renewAfter(order, socket) {
    order.lost(socket);
    if (socket === this.#current) {
      this.#current = undefined;
      this.#old.add(socket);
    }
  }

  /** Asks again after a pause. */
  #again(order) {
    const pause = this.#pause(order.failures);
    order.notBefore = Date.now() + pause;
    setTimeout(() => this.#pump(), pause + 1);
  }

  #pause(tries) {
    const { backoffFirstMs, backoffMaxMs } = this.#options;
    return Math.random() * Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(tries, 16));
  }

  /** A connection that has ended, or is given up. */
  #lose(socket) {
    socket.onopen = socket.onclose = socket.onmessage = null;
    socket.close(1000);
    for (const order of this.#orders.values()) order.lost(socket);
    this.#old.delete(socket);
    if (socket === this.#current) {
      this.#current = undefined;
      clearTimeout(this.#timers.listen);
    }
    if (socket === this.#opening || !(this.#current || this.#opening)) this.#failed();
    else this.#pump();
  }

  /** There is no connection, or no fresh one: another one is tried after a pause. */
  #failed() {
    clearTimeout(this.#timers.open);
    this.#opening = undefined;
    clearTimeout(this.#timers.backoff);
    this.#timers.backoff = setTimeout(() => {
      this.#timers.backoff = undefined;
      this.#current ? this.#renew() : this.#pump();
    }, this.#pause(this.#tries++));
  }

  /** Something came: the next sign of life is due later. */
  #listen() {
    clearTimeout(this.#timers.listen);
    this.#timers.listen = setTimeout(() => this.#probe(), this.#options.pingAfterMs);
  }

  /** Is there anybody? A connection can be dead without a close. */
  #probe() {
    const socket = this.#current;
    if (!socket) return;
    send(socket, { action: 'ping' });
    clearTimeout(this.#timers.listen);
    this.#timers.listen = setTimeout(() => this.#lose(socket), this.#options.pongWithinMs);
  }

  /** The page is seen again, or the machine's network came or went. */
  #wake = () => {
    if (globalThis.document?.visibilityState === 'hidden') return;
    if (this.#current) this.#probe();
    else if (this.#timers.backoff) {
      clearTimeout(this.#timers.backoff);
      this.#timers.backoff = undefined;
      this.#pump();
    }
  };
}

/** What says that the page may have slept, or its network changed. */
function wakers() {
  return /** @type {const} */ ([
    [globalThis, 'online'],
    [globalThis, 'offline'],
    [globalThis.document, 'visibilitychange'],
  ]);
}

/** When a JSON Web Token ends, in milliseconds since 1970; of what is none, nothing is known. */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).exp * 1_000;
  } catch {
    return NaN;
  }
}

function send(socket, message) {
  if (socket.readyState === 1) socket.send(JSON.stringify(message));
}

function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return undefined;
  }
}

function chunks(wanted) {
  const all = [];
  let bytes = Infinity;
  for (const order of wanted) {
    const size = JSON.stringify(order).length * 3;
    if (bytes + size > MESSAGE_BYTES_MAX || all.at(-1).length === ORDERS_MAX) {
      all.push([]);
      bytes = 0;
    }
    all.at(-1).push(order);
    bytes += size;
  }
  return all;
}

/**
 * Updates one by one; those that come while nobody asks are one update.
 *
 * @param {Foldcast} client
 * @param {string} orderId
 * @param {{since?: number, signal?: AbortSignal}} options
 * @returns {AsyncIterableIterator<Update>}
 */
function iterator(client, orderId, { since, signal }) {
  let pending, failure, waiting;
  let isDone = false;
  const settle = () => {
    if (!waiting) return;
    const { resolve, reject } = waiting;
    if (pending) {
      resolve({ value: pending, done: false });
      pending = undefined;
    } else if (failure) {
      reject(failure);
      failure = undefined;
      isDone = true;
    } else if (isDone) resolve({ value: undefined, done: true });
    else return;
    waiting = undefined;
  };
  const next = (update) => {
    pending = pending && !update.reset ? { ...update, events: [...pending.events, ...update.events], reset: pending.reset } : update;
    settle();
  };
  const error = (reason) => {
    failure = reason;
    settle();
  };
  const stop = client.subscribe(orderId, next, { since, error });
  const end = () => {
    isDone = true;
    stop();
    settle();
    return Promise.resolve(/** @type {const} */ ({ value: undefined, done: true }));
  };
  if (signal?.aborted) end();
  else signal?.addEventListener('abort', end, { once: true });
  return {
    next: () =>
      new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        settle();
      }),
    return: end,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
