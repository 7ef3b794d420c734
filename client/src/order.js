// One order: what is due to be said about it, and who looks on.
//
// Owns: saying one thing at a time, and what an answer means.
// Must not know: sockets beyond telling one from another, timers.
// Source: rules 4 and 5 of "What a client does" in shared/protocol/README.md.

import { FoldcastError } from './errors.js';
import { Follower } from './follower.js';

export class Order {
  /** Callbacks `{next, error}` of those who look on. */
  watchers = new Set();
  /** Requests `{from, to, resolve, reject}` for parts of the log, the first one is asked first. */
  histories = [];
  /** What was said last and is not answered: `subscribe`, `unsubscribe`, `history`. */
  busy = undefined;
  /** The socket on which it was said. */
  busyOn = undefined;
  /** The socket on which the order is subscribed. */
  subscribedOn = undefined;
  /** How often in a row the gateway failed, and until when it is left alone then. */
  failures = 0;
  notBefore = 0;
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
    if (this.busy && this.busyOn === socket) return undefined;
    const isSubscribed = this.subscribedOn === socket;
    if (this.watchers.size > 0 && (!isSubscribed || this.follower.isBehind)) return 'subscribe';
    if (this.watchers.size === 0 && isSubscribed) return 'unsubscribe';
    return this.histories.length > 0 ? 'history' : undefined;
  }

  /** Says it: from here on the answer is due. */
  say(what, socket) {
    this.busy = what;
    this.busyOn = socket;
    if (what === 'history') this.#events = [];
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
    switch (message.type) {
      case 'update': {
        const { isAnswer, fresh } = this.follower.accept(message);
        if (isAnswer && isAsked && this.busy === 'subscribe') this.#answered(socket);
        if (fresh) this.#tell((watcher) => watcher.next({ orderId: this.orderId, ...fresh }));
        break;
      }
      case 'history':
        if (!isAsked || this.busy !== 'history') break;
        this.#events.push(...message.events);
        if (message.more) break;
        this.#free();
        this.histories
          .shift()
          ?.resolve({ orderId: this.orderId, version: message.version, events: this.#events, projection: message.projection });
        break;
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
    this.failures = 0;
    this.subscribedOn = socket;
  }

  #free() {
    this.busy = this.busyOn = undefined;
  }

  /** What one of them throws is reported, and nobody else's affair. */
  #tell(say) {
    for (const watcher of [...this.watchers]) {
      try {
        watcher.isTold = true;
        say(watcher);
      } catch (error) {
        globalThis.reportError?.(error);
      }
    }
  }
}

/** An order id as the gateway takes it: 1 to 256 bytes of UTF-8 without control characters. */
export function checked(orderId) {
  const isId =
    typeof orderId === 'string' &&
    orderId.length > 0 &&
    new TextEncoder().encode(orderId).length <= 256 &&
    !/\p{Cc}/u.test(orderId);
  if (!isId) throw new FoldcastError('bad_request', 'an orderId has 1 to 256 bytes of UTF-8 and no control characters');
  return orderId;
}
