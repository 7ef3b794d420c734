// What goes wrong for good.
//
// Owns: the error that ends an order or a request.
// Must not know: what is tried again.
// Source: the error codes of shared/protocol/README.md.

/**
 * An order or a request that has ended.
 *
 * `code` is `bad_request`, `forbidden`, `too_many_subscriptions`, `too_large` or `internal` as the gateway says, or `closed`:
 * the client was closed.
 */
export class FoldcastError extends Error {
  name = 'FoldcastError';

  /**
   * @param {string} code
   * @param {string} message
   * @param {string} [requestId] By which the gateway's log names it.
   */
  constructor(code, message, requestId) {
    super(message);
    this.code = code;
    this.requestId = requestId;
  }
}
