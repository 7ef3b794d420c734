// One order: what is due to be said about it, what an answer means, and who looks on.
// It says one thing at a time, and knows sockets only to tell one from another, and no timers.

import { FoldcastError } from './errors.js';
import { Follower } from './follower.js';

export class Order {
  /** Callbacks `{next, error, current}` of those who look on. */
  watchers = new Set();
  /** Requests `{from, to, resolve, reject}` for parts of the log, the first one is asked first. */
  histories = [];
  /** What was said last and is not answered: `subscribe`, `unsubscribe`, `history`. */
  busy = undefined;
  /** The socket on which it was said, and when. */
  busyOn = undefined;
  saidAt = 0;
  /** How often somebody looked whether an answer has come, since anything came that can be one. */
  waited = 0;
  /** The socket on which the order is subscribed. */
  subscribedOn = undefined;
  /** How often in a row the gateway failed, and how many pauses are not over in which nothing is said. */
  failures = 0;
  pauses = 0;
  /** Whether the gateway failed on a message that named this order among others: it is asked for in a message of its own. */
  isSuspect = false;
  /** When the gateway was asked that said last that nothing is missing; and whether watchers were told that it is current. */
  levelAt = -Infinity;
  isCurrent = false;
  #events = [];

  constructor(orderId, since) {
    this.orderId = orderId;
    this.follower = new Follower(since);
  }

  get isUsed() {
    return this.watchers.size > 0 || this.histories.length > 0 || this.busy !== undefined || this.subscribedOn !== undefined;
  }

  /** What to say on a socket, if anything. */
  due(socket) {
    if (this.pauses > 0 || (this.busy && this.busyOn === socket)) return undefined;
    const isSubscribed = this.subscribedOn === socket;
    if (this.watchers.size > 0 && (!isSubscribed || this.follower.isBehind)) return 'subscribe';
    if (this.watchers.size === 0 && isSubscribed) return 'unsubscribe';
    return this.histories.length > 0 ? 'history' : undefined;
  }

  /** Says it: from here on the answer is due. */
  say(what, socket) {
    this.busy = what;
    this.busyOn = socket;
    this.saidAt = Date.now();
    this.waited = 0;
    if (what === 'history') this.#events = [];
    if (what === 'subscribe') this.follower.asked();
    return { orderId: this.orderId, ...this.follower.since };
  }

  /**
   * Takes an update or an answer to a request from a socket.
   *
   * @param {import('./protocol.d.ts').Update | import('./protocol.d.ts').History | import('./protocol.d.ts').Unsubscribed} message
   * @param {WebSocket} socket
   */
  take(message, socket) {
    const isAsked = this.busyOn === socket;
    if (isAsked) this.waited = 0;
    switch (message.type) {
      case 'update': {
        const { isAnswer, fresh } = this.follower.accept(message);
        if (isAnswer && isAsked && this.busy === 'subscribe') this.#answered(socket);
        if (fresh) {
          this.#tell((watcher) => {
            watcher.isTold = true;
            watcher.next({ orderId: this.orderId, ...fresh });
          });
        }
        break;
      }
      case 'history': {
        if (!isAsked || this.busy !== 'history') break;
        // Of an answer that was asked for again the first one may yet come, not all of it.
        const next = this.histories[0].from + this.#events.length;
        if (message.events.length === 0 || message.events[0].version === next) this.#events.push(...message.events);
        if (message.more || (message.version >= next && this.#events.at(-1)?.version !== message.version)) break;
        this.#free();
        this.histories
          .shift()
          ?.resolve({ orderId: this.orderId, version: message.version, events: this.#events, projection: message.projection });
        break;
      }
      case 'unsubscribed':
        if (isAsked && this.busy === 'unsubscribe') {
          this.#free();
          this.subscribedOn = undefined;
        }
        break;
      default:
        break;
    }
  }

  /** Somebody looks on: what is known comes first. */
  watch(watcher) {
    queueMicrotask(() => {
      if (this.watchers.has(watcher)) watcher.current?.(this.isCurrent);
      const { version, projection } = this.follower;
      if (watcher.isTold || !this.watchers.has(watcher) || projection === undefined) return;
      watcher.next({ orderId: this.orderId, version, events: [], projection, reset: false });
    });
    this.watchers.add(watcher);
    return () => this.watchers.delete(watcher);
  }

  /** What was said failed: it is due again. An unsubscribe that failed may yet be done, so its socket is of no use. */
  failed() {
    const was = this.busy;
    this.failures += 1;
    this.#free();
    return was;
  }

  /**
   * Updates up to a version are known to be lost on a socket, or any of them if the version is not known. Says whether it has
   * to be asked again for that alone: what is lost may be an answer that was due, or nobody knows what it is.
   */
  missed(socket, version) {
    if (version !== undefined) this.follower.missed(version);
    const isAnswer = this.busyOn === socket && this.busy !== 'unsubscribe';
    if (isAnswer) this.failed();
    const isUnknown = version === undefined && this.subscribedOn === socket && this.watchers.size > 0 && !this.busy;
    if (isUnknown) this.subscribedOn = undefined;
    return isAnswer || isUnknown;
  }

  /** Tells those who look on whether the order is current, if that has changed. */
  setCurrent(isCurrent) {
    if (isCurrent === this.isCurrent) return;
    this.isCurrent = isCurrent;
    this.#tell((watcher) => watcher.current?.(isCurrent));
  }

  /** The socket is gone, and with it what was said on it. */
  lost(socket) {
    if (this.busyOn === socket) this.#free();
    if (this.subscribedOn === socket) this.subscribedOn = undefined;
  }

  /** Ends it for everybody; what was asked for a history fails alone. */
  end(error) {
    if (this.busy === 'history') {
      this.#free();
      this.histories.shift()?.reject(error);
      return;
    }
    this.#free();
    this.subscribedOn = undefined;
    this.#tell((watcher) => watcher.error(error));
    this.watchers.clear();
    if (error.code === 'closed') for (const history of this.histories.splice(0)) history.reject(error);
  }

  #answered(socket) {
    this.#free();
    // An answer that does not bring what is known to exist is no success.
    this.failures = this.follower.isBehind ? this.failures + 1 : 0;
    this.isSuspect = false;
    this.levelAt = this.saidAt;
    this.subscribedOn = socket;
  }

  #free() {
    this.busy = this.busyOn = undefined;
  }

  /** What one of them throws is reported, and nobody else's affair. */
  #tell(say) {
    for (const watcher of [...this.watchers]) {
      try {
        say(watcher);
      } catch (error) {
        globalThis.reportError?.(error);
      }
    }
  }
}

/** An order id as the gateway takes it: 1 to 256 bytes of UTF-8 without control characters; half a surrogate pair is no UTF-8. */
export function checked(orderId) {
  const isId =
    typeof orderId === 'string' &&
    orderId.length > 0 &&
    new TextEncoder().encode(orderId).length <= 256 &&
    !/[\p{Cc}\p{Cs}]/u.test(orderId);
  if (!isId) throw new FoldcastError('bad_request', 'orderId: 1 to 256 bytes, no control characters');
  return orderId;
}
