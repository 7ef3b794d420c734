// Whether orders are level with their logs, and for how long that is known.
// An update that is lost without a trace shows only here: now and then the gateway is asked which orders have another version.

import { isHidden } from './page.js';
import { chunks, send } from './wire.js';

/** @typedef {import('./order.js').Order} Order */

export class Heads {
  #options;
  /** @type {Map<string, Order>} */
  #orders;
  #lose;
  #missed;
  /** The connection on which is asked; none to a gateway that does not know the question. */
  #socket = undefined;
  /** @type {{at: number, known: [Order, number][], later: string[][], isDoubted: boolean} | undefined} What is not answered. */
  #asked = undefined;
  /** Whether something happened since the last question that may hide a loss. */
  #isOdd = false;
  #next;
  #answer;
  #judged;

  /**
   * @param {{headsEveryMs: number, pongWithinMs: number, resumeWithinMs: number}} options
   * @param {Map<string, Order>} orders
   * @param {(socket: WebSocket) => void} lose Gives a connection up.
   * @param {(order: Order, socket: WebSocket, version?: number) => void} missed An order misses updates up to a version.
   */
  constructor(options, orders, lose, missed) {
    this.#options = options;
    this.#orders = orders;
    this.#lose = lose;
    this.#missed = missed;
  }

  /** From here on this is the connection. */
  begin(socket) {
    this.end();
    this.#socket = socket;
    this.#in(this.#pause());
  }

  /** There is no connection. */
  end() {
    this.#socket = this.#asked = undefined;
    clearTimeout(this.#next);
    clearTimeout(this.#answer);
  }

  /** Something happened that may hide a loss: it is asked soon, by each page at its own time. */
  odd() {
    if (this.#isOdd || !this.#socket) return;
    this.#isOdd = true;
    this.#soon();
  }

  /** Asks about all orders that are not known to be behind. Says whether it does. */
  compare() {
    if (!this.#socket) return false;
    this.#in(this.#pause());
    if (this.#asked || isHidden()) return false;
    this.#isOdd = false;
    return this.#ask(chunks([...this.#orders.keys()].filter((orderId) => this.#isFollowed(orderId))));
  }

  /** The answer: the versions of orders that are not level. Those that were asked about and are not named are. */
  compared(socket, heads) {
    if (!this.#asked || socket !== this.#socket || !heads) return;
    const { at, known, later } = this.#asked;
    this.#asked = undefined;
    clearTimeout(this.#answer);
    for (const [order, version] of known) {
      if (Object.hasOwn(heads, order.orderId)) {
        const head = heads[order.orderId];
        // A log that is shorter is another one, or not shown any more: which, an answer to a subscribe says.
        this.#missed(order, socket, head < version ? undefined : head);
      } else order.levelAt = Math.max(order.levelAt, at);
    }
    if (!this.#ask(later) && this.#isOdd) this.#soon();
  }

  /** An error came that may be the answer. Says whether it is that of a gateway that does not know the question. */
  refused(socket, code, orderId) {
    const asked = this.#asked;
    if (!asked || socket !== this.#socket) return false;
    if (orderId !== undefined) asked.known = asked.known.filter(([order]) => order.orderId !== orderId);
    else if (code !== 'bad_request') asked.isDoubted = true;
    else this.end();
    return !this.#socket;
  }

  /** For how long an order is current if nothing is heard: it is subscribed, not behind, and was level not long ago. */
  currentForMs(order) {
    const forMs = this.#options.headsEveryMs + this.#options.pongWithinMs;
    const leftMs = order ? order.levelAt + forMs - Date.now() : 0;
    // A clock that was set back says nothing.
    return order?.subscribedOn?.readyState === 1 && !order.follower.isBehind && leftMs <= forMs ? leftMs : 0;
  }

  /** Tells of each order whether it is current, now and when the first of them is not any more. */
  judge() {
    let soonestMs = Infinity;
    for (const order of this.#orders.values()) {
      const leftMs = this.currentForMs(order);
      order.setCurrent(leftMs > 0);
      if (leftMs > 0) soonestMs = Math.min(soonestMs, leftMs);
    }
    clearTimeout(this.#judged);
    if (soonestMs < Infinity) this.#judged = setTimeout(() => this.judge(), soonestMs);
  }

  #pause() {
    return this.#options.headsEveryMs * (0.5 + Math.random() / 2);
  }

  #soon() {
    this.#in(Math.random() * this.#options.resumeWithinMs);
  }

  #in(ms) {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => this.compare(), ms);
  }

  #isFollowed(orderId) {
    const order = this.#orders.get(orderId);
    return order && order.subscribedOn === this.#socket && !order.busy && !order.follower.isBehind;
  }

  /** Asks about the first orders; about the others when that is answered. */
  #ask(/** @type {string[][]} */ [orderIds, ...later]) {
    if (!orderIds) return false;
    /** @type {[Order, number][]} */
    const known = orderIds.filter((orderId) => this.#isFollowed(orderId)).map((orderId) => {
      const order = /** @type {Order} */ (this.#orders.get(orderId));
      return [order, order.follower.version];
    });
    if (known.length === 0) return this.#ask(later);
    const socket = this.#socket;
    this.#asked = { at: Date.now(), known, later, isDoubted: false };
    send(socket, { action: 'heads', orders: Object.fromEntries(known.map(([{ orderId }, version]) => [orderId, version])) });
    this.#answer = setTimeout(() => {
      // If something failed and nobody says what, it may have been this: the connection is as good as it was.
      if (this.#asked?.isDoubted) this.#asked = undefined;
      else this.#lose(socket);
    }, this.#options.pongWithinMs);
    return true;
  }
}
