// An order's updates as an async iterator: those that come while nobody asks are one update.

/**
 * @param {import('./index.js').Foldcast} client
 * @param {string} orderId
 * @param {{since?: number, signal?: AbortSignal}} options
 * @returns {AsyncIterableIterator<import('./index.js').Update>}
 */
export function iterator(client, orderId, { since, signal }) {
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
