// Messages that came in parts.
//
// Owns: putting a message together again.
// Must not know: what it says.
// Source: shared/protocol/README.md, "Gateway to browser".

/** Messages under way at most; the oldest one gives way. */
const MESSAGES_MAX = 16;

export class Parts {
  #messages = new Map();

  /** Takes a part; the answer is the whole message once all are there. */
  take({ id, part, parts, text }) {
    const texts = this.#messages.get(id) ?? new Map();
    this.#messages.delete(id);
    texts.set(part, text);
    if (texts.size === parts) {
      return JSON.parse(Array.from({ length: parts }, (_, index) => texts.get(index + 1)).join(''));
    }
    this.#messages.set(id, texts);
    if (this.#messages.size > MESSAGES_MAX) this.#messages.delete(this.#messages.keys().next().value);
    return undefined;
  }
}
