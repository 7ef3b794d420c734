// Messages that came in parts: puts them together again, within a bound, and says what it gave up.
// A message that is given up is a loss that somebody has to make good: it is named by its order and version.

/**
 * Characters of incomplete messages that are held: an update to each of the 100 orders that a connection follows, each with
 * a projection of 400 KB, and half as much again for events, escapes and messages that are sent twice.
 */
export const INCOMPLETE_MAX = 64 * 1024 * 1024;

/** Parts of one message; the longest one of the gateway has about 50. */
const PARTS_MAX = 1_000;

/** What a part takes beside its text, so that empty parts are bounded too. */
const PART_FIELDS = 704;

/** @typedef {{orderId?: string, version?: number}} Lost What is lost; of a gateway that does not name it, nothing is known. */

export class Parts {
  /** By id, the one that has not grown for longest first. */
  #messages = new Map();
  #size = 0;
  #options;

  /** @param {{incompleteMax: number, parse: (text: string) => any}} options */
  constructor(options) {
    this.#options = options;
  }

  /** The object that a text is as JSON, if it is one. */
  read(text) {
    try {
      const value = this.#options.parse(text);
      if (!Array.isArray(value) && Object(value) === value) return value;
    } catch {}
  }

  /**
   * Takes a part: `whole` is the message once all are there, `lost` are messages that will not come.
   *
   * @returns {{whole?: any, lost: Lost[]}}
   */
  take({ id, part, parts, orderId, version, text }) {
    const message = this.#messages.get(id) ?? { orderId, version, parts, texts: new Map(), size: 0 };
    this.#forget(id, message);
    const { texts } = message;
    const fits = message.parts === parts && message.orderId === orderId && message.version === version && parts <= PARTS_MAX;
    const isPart = part >= 1 && part <= parts && typeof text === 'string' && (texts.get(part) ?? text) === text;
    if (!fits || !isPart) return { lost: [message, { orderId, version }] };
    if (!texts.has(part)) message.size += PART_FIELDS + text.length;
    texts.set(part, text);
    if (texts.size === parts) {
      const whole = this.read(Array.from({ length: parts }, (_, index) => texts.get(index + 1)).join(''));
      return { whole, lost: whole ? [] : [message] };
    }
    this.#messages.set(id, message);
    this.#size += message.size;
    const lost = [];
    for (const [oldest, dropped] of this.#messages) {
      if (this.#size <= this.#options.incompleteMax) break;
      this.#forget(oldest, dropped);
      lost.push(dropped);
    }
    return { lost };
  }

  #forget(id, message) {
    if (this.#messages.delete(id)) this.#size -= message.size;
  }
}
