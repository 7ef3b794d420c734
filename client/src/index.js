// @foldcast/client: live orders in a browser.
// This module has the one connection of a page: opening, renewing, giving up, and what is said on it when. It follows "What a
// client does" in shared/protocol/README.md, and docs/client.md describes it.

import { FoldcastError } from './errors.js';
import { Heads } from './heads.js';
import { iterator } from './iterator.js';
import { Order, checked } from './order.js';
import { isHidden, wakers } from './page.js';
import { INCOMPLETE_MAX, Parts } from './parts.js';
import { chunks, send } from './wire.js';

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
  /** Longest pause before a missing update is asked for: as a rule it arrives by itself. */
  resumeWithinMs: 2_000,
  /** Longest time between two questions whether orders are level with their logs, while the page is visible. */
  headsEveryMs: 180_000,
  /** Characters of incomplete messages that are held. */
  incompleteMax: INCOMPLETE_MAX,
  /** Reads a message; `JSON.parse` rounds numbers over 2^53, and `parseLossless` of `@foldcast/client/lossless` does not. */
  parse: /** @type {(text: string) => any} */ (JSON.parse),
};

/** Time in which an answer comes, or none does: API Gateway waits 29 seconds for a function. */
const ANSWER_WITHIN_MS = 30_000;

/**
 * A client of the gateway at `url`. It connects when somebody looks at the first order.
 *
 * @param {{url: string, token?: string | (() => string | Promise<string>)} & Partial<typeof DEFAULTS>} options
 */
export function connect(options) {
  return new Foldcast({ ...DEFAULTS, ...options });
}

function closed() {
  return new FoldcastError('closed', 'closed');
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
  /** Pauses and failures of asking for suspects, and the one that was asked for last. */
  #suspects = { pauses: 0, failures: 0, asked: /** @type {Order | undefined} */ (undefined) };
  /** @type {Order[]} Those that are behind and will be asked for together. */
  #behind = [];
  /** When a ping was sent that is not answered. */
  #pingedAt = Infinity;
  #heads;
  /** @type {Record<string, ReturnType<typeof setTimeout> | undefined>} */
  #timers = {};
  #isPumping = false;
  #isClosed = false;

  constructor(options) {
    this.#options = options;
    this.#heads = new Heads(options, this.#orders, (socket) => this.#lose(socket), (...missed) => this.#missed(...missed));
    for (const [target, name] of wakers()) target?.addEventListener?.(name, this.#wake);
  }

  /**
   * An order to look at: an async iterable of updates, and requests about its log.
   *
   * @param {string} orderId
   * @param {{since?: number, signal?: AbortSignal}} [options] `since` begins after a version that is known already.
   * @returns {AsyncIterable<Update> & {
   *   readonly orderId: string,
   *   readonly isCurrent: boolean,
   *   history: (range: {from: number, to: number}) => Promise<Omit<Update, 'reset'>>,
   *   at: (version: number) => Promise<Pick<Update, 'version' | 'projection'>>,
   * }}
   */
  order(orderId, options = {}) {
    checked(orderId);
    const client = this;
    return {
      orderId,
      get isCurrent() {
        return client.#heads.currentForMs(client.#orders.get(orderId)) > 0;
      },
      [Symbol.asyncIterator]: () => iterator(client, orderId, options),
      history: (range) => client.#history(orderId, range),
      at: async (version) => {
        const { projection } = await client.#history(orderId, { from: version, to: version });
        return { version, projection };
      },
    };
  }

  /**
   * Calls `next` with each update of an order until `signal` is aborted, or `error` once; and `current` with whether the
   * order is current, at first and whenever that changes.
   *
   * @param {string} orderId
   * @param {(update: Update) => void} next
   * @param {{
   *   since?: number, signal?: AbortSignal, error?: (error: FoldcastError) => void, current?: (isCurrent: boolean) => void,
   * }} [options]
   * @returns {() => void} Ends it as well.
   */
  subscribe(orderId, next, { since, signal, error = () => {}, current } = {}) {
    if (this.#isClosed) throw closed();
    const order = this.#order(checked(orderId), since);
    const leave = order.watch({ next, error, current });
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
    for (const order of this.#orders.values()) order.end(closed());
    this.#orders.clear();
    this.#heads.end();
    this.#heads.judge();
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
    if (this.#isClosed) return Promise.reject(closed());
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
      if (this.#isClosed) return;
      this.#say();
      this.#heads.judge();
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
    const wanted = [];
    /** @type {Order | undefined} */
    let suspect;
    for (const order of this.#orders.values()) {
      const what = order.due(socket);
      if (what === 'subscribe' && order.isSuspect) {
        // One that fails again and again comes after all others.
        if (!suspect || suspect.failures > order.failures) suspect = order;
      } else if (what === 'subscribe') wanted.push(order.say(what, socket));
      else if (what === 'unsubscribe') send(socket, { action: what, orderId: order.say(what, socket).orderId });
      else if (what === 'history') {
        const { from, to } = order.histories[0];
        send(socket, { action: what, orderId: order.say(what, socket).orderId, from, to });
      }
    }
    const { asked, pauses } = this.#suspects;
    if (suspect && pauses === 0 && !(asked?.isSuspect && asked.busyOn === socket)) {
      this.#suspects.asked = suspect;
      send(socket, { action: 'subscribe', orders: [suspect.say('subscribe', socket)] });
    }
    for (const orders of chunks(wanted)) send(socket, { action: 'subscribe', orders });
    this.#timers.answer ??= setTimeout(() => this.#overdue(), ANSWER_WITHIN_MS);
    this.#retire();
  }

  /** Nobody has looked at an order for a while: the connection is not kept for nobody. */
  #rest() {
    const socket = this.#current;
    if (!socket) return;
    this.#current = undefined;
    for (const timer of [this.#timers.listen, this.#timers.renew]) clearTimeout(timer);
    this.#heads.end();
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
    const parts = new Parts(this.#options);
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
    this.#heads.begin(socket);
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
      // What a network delays it may lose as well.
      if (Date.now() - this.#pingedAt > this.#options.pongWithinMs / 2) this.#heads.odd();
      this.#pingedAt = Infinity;
      this.#listen();
    }
    const message = parts.read(data);
    if (message?.type !== 'part') this.#take(socket, message);
    else {
      const order = this.#orders.get(message.orderId);
      if (order && order.busyOn === socket) order.waited = 0;
      const { whole, lost } = parts.take(message);
      for (const each of lost) this.#lost(socket, each);
      if (whole) this.#take(socket, whole);
    }
    this.#pump();
  }

  #take(socket, message) {
    const order = this.#orders.get(message?.orderId);
    if (message === undefined || (message.type === 'update' && !(message.version >= 0 && message.events))) this.#heads.odd();
    else if (message.type === 'error' || message.type === undefined) this.#refused(socket, message);
    else if (message.type === 'heads') this.#heads.compared(socket, message.orders);
    else if (order) {
      const { busy } = order;
      order.take(message, socket);
      // The gateway works: what failed failed because of its order.
      if (busy && !order.busy) this.#suspects = { ...this.#suspects, pauses: 0, failures: 0 };
      this.#resume(order);
    }
  }

  /** A message is lost: about an order up to a version, or nobody knows about which. */
  #lost(socket, { orderId, version }) {
    for (const order of this.#orders.values())
      if ((orderId ?? order.orderId) === order.orderId) this.#missed(order, socket, orderId && version);
    this.#heads.odd();
  }

  #missed(order, socket, version) {
    if (order.missed(socket, version)) this.#again(order);
    else this.#resume(order);
  }

  /** What orders miss is asked for after a pause, by each page after its own: most often it arrives meanwhile. */
  #resume(order) {
    if (!order.follower.isBehind || order.busy || order.pauses > 0) return;
    // What was asked for and did not come is not asked for at once.
    if (order.failures > 0) return this.#again(order);
    order.pauses += 1;
    this.#behind.push(order);
    this.#timers.resume ??= setTimeout(() => {
      this.#timers.resume = undefined;
      for (const order of this.#behind.splice(0)) order.pauses -= 1;
      this.#pump();
    }, Math.random() * this.#options.resumeWithinMs);
  }

  /** An error of the gateway, or a frame of API Gateway's own, which has no type and names no order. */
  #refused(socket, { code = 'internal', message, requestId, orderId }) {
    if (this.#heads.refused(socket, code, orderId)) return;
    const orders = [...this.#orders.values()].filter(
      (order) =>
        (orderId ?? order.orderId) === order.orderId &&
        // It is forbidden without being asked for, when an order has got another owner.
        (order.busyOn === socket || (orderId && code === 'forbidden' && order.subscribedOn === socket)),
    );
    // What names no order may be about any of them that wait: each is asked for alone, and then it is known.
    if (code === 'internal' || orders.length > 1) this.#failedOn(orders, !orderId);
    else for (const order of orders) order.end(new FoldcastError(code, message, requestId));
  }

  /**
   * What was said about orders failed. If nobody says on which of them, one may fail the gateway whenever it is asked for, and
   * keep the others from being served: they are asked for one by one.
   */
  #failedOn(orders, isAnyOfThem) {
    for (const order of orders) {
      const socket = order.busyOn;
      if (isAnyOfThem && order.busy === 'subscribe') order.isSuspect = true;
      // The row of an unsubscribe that failed may yet be deleted: the next subscribe is on another connection.
      if (order.failed() === 'unsubscribe') this.#renewAfter(order, socket);
      this.#again(order);
    }
    if (isAnyOfThem && orders.length > 0) this.#leave(this.#suspects, this.#pause(this.#suspects.failures++));
  }

  /** Answers that did not come in time do not come. */
  #overdue() {
    this.#timers.answer = undefined;
    const orders = [...this.#orders.values()].filter((order) => order.busy);
    this.#failedOn(orders.filter((order) => ++order.waited > 1), true);
    if (orders.length > 0) this.#timers.answer = setTimeout(() => this.#overdue(), ANSWER_WITHIN_MS);
  }

  #renewAfter(order, socket) {
    order.lost(socket);
    if (socket === this.#current) {
      this.#current = undefined;
      this.#old.add(socket);
    }
  }

  /** What was asked about an order failed: it is asked again after a pause. */
  #again(order) {
    this.#leave(order, this.#pause(order.failures));
  }

  /** Leaves an order, or the suspects, alone for a while. */
  #leave(what, ms) {
    what.pauses += 1;
    setTimeout(() => {
      what.pauses -= 1;
      this.#pump();
    }, ms);
  }

  #pause(tries) {
    const { backoffFirstMs, backoffMaxMs } = this.#options;
    return Math.random() * Math.min(backoffMaxMs, backoffFirstMs * 2 ** tries);
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
      this.#heads.end();
    }
    if (socket === this.#opening || !(this.#current || this.#opening)) this.#failed();
    this.#pump();
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
    this.#pingedAt = Date.now();
    clearTimeout(this.#timers.listen);
    this.#timers.listen = setTimeout(() => this.#lose(socket), this.#options.pongWithinMs);
  }

  /** The page is seen again, or the machine's network came or went. */
  #wake = () => {
    if (isHidden()) return;
    if (this.#current) {
      if (this.#heads.compare()) return;
      this.#heads.odd();
      this.#probe();
    }
    else if (this.#timers.backoff) {
      clearTimeout(this.#timers.backoff);
      this.#timers.backoff = undefined;
      this.#pump();
    }
  };
}

/** When a JSON Web Token ends, in milliseconds since 1970; of what is none, nothing is known. */
function expiry(token) {
  try {
    return JSON.parse(atob(token.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).exp * 1_000;
  } catch {
    return NaN;
  }
}
