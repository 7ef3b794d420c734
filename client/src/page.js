// What a page knows of itself: whether it is seen, and what says that it may have slept.

export function isHidden() {
  return globalThis.document?.visibilityState === 'hidden';
}

/** What says that the page may have slept, or its network changed. */
export function wakers() {
  return /** @type {const} */ ([
    [globalThis, 'online'],
    [globalThis, 'offline'],
    [globalThis.document, 'visibilitychange'],
  ]);
}
