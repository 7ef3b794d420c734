// Where a client stands in one order's log: what turns an at-least-once wire into every event once, in order.
//
// Owns: dropping what it has, noticing a gap, knowing where to resume.
// Must not know: sockets, clocks, who looks on.
// Source: "What a client does" in shared/protocol/README.md; shared/protocol/src/follower.rs is the same in Rust.

export class Follower {
  /** The version up to which all events have come. */
  version = 0;
  /** @type {Record<string, unknown> | undefined} The projection at `version`, if it is known. */
  projection = undefined;
  /** @type {string | undefined} */
  #ref = undefined;
  #started = false;
  /** The highest version that any update named. */
  #seen = 0;
  /** The highest version that any update named since the last subscribe. */
  #seenSinceAsked = 0;
  /** @type {import('./protocol.d.ts').Event[]} Events without their projection: the rest of a long resume is due. */
  #held = [];

  /** @param {number} [since] The version up to which the events are there already. */
  constructor(since) {
    if (since !== undefined) {
      this.#started = true;
      this.version = this.#seen = since;
    }
  }

  /** What to resume with. */
  get since() {
    if (!this.#started) return {};
    return this.#ref ? { since: this.version, ref: this.#ref } : { since: this.version };
  }

  /** A subscribe is said: its answer has what was seen until now, or the order is hidden. */
  asked() {
    this.#seenSinceAsked = 0;
  }

  /** Whether events are known to be missing. */
  get isBehind() {
    return this.#seen > this.version;
  }

  /**
   * Takes an update. The answer is what is new to whoever looks on, if anything is; `isAnswer` says whether the update can
   * be what a subscribe asked for.
   *
   * @param {import('./protocol.d.ts').Update} update
   */
  accept({ version, events, projection, reset, more }) {
    this.#seenSinceAsked = Math.max(this.#seenSinceAsked, version);
    // The answer about an order without events, or of another: what was seen before it was asked for is no gap any more, and
    // what was seen since then is one.
    if (version === 0 && (reset || this.version === 0)) this.#seen = this.#seenSinceAsked;
    else this.#seen = reset ? version : Math.max(this.#seen, version);
    const news = (events, isReset = false) => ({ isAnswer: !more, fresh: { version, events, projection, reset: isReset } });
    if (!this.#started || reset) {
      const isReset = this.#started;
      this.#started = true;
      this.#held = [];
      this.#move(version, events.at(-1)?.ref, projection);
      return news([], isReset);
    }
    if (version === this.version) {
      // Another projection of the same version: the rest of a long resume, or the order was folded again.
      if (projection === undefined || JSON.stringify(projection) === JSON.stringify(this.projection)) return { isAnswer: true };
      this.projection = projection;
      return news(this.#held.splice(0));
    }
    const next = events[0]?.version <= this.version + 1;
    if (version < this.version || !next) return { isAnswer: false };
    const fresh = events.filter((event) => event.version > this.version);
    this.#move(version, fresh.at(-1)?.ref, projection);
    this.#held.push(...fresh);
    return projection === undefined ? { isAnswer: false } : news(this.#held.splice(0));
  }

  /** An update up to this version is known to exist and does not come. */
  missed(version) {
    this.#seen = Math.max(this.#seen, version);
    this.#seenSinceAsked = Math.max(this.#seenSinceAsked, version);
  }

  #move(version, ref, projection) {
    this.version = version;
    this.#ref = ref;
    this.projection = projection;
  }
}
