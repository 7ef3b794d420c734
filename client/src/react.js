// @foldcast/client/react: an order as the state of a component, one subscription however many components look on.

import { createContext, createElement, useCallback, useContext, useMemo, useSyncExternalStore } from 'react';

/** @type {import('react').Context<import('./index.js').Foldcast | undefined>} */
const Client = createContext(/** @type {any} */ (undefined));

const NOTHING = Object.freeze({ version: 0, projection: undefined, events: Object.freeze([]), error: undefined, stale: true });

/**
 * Gives the components below a client: one for the page.
 *
 * @param {{client: import('./index.js').Foldcast, children?: import('react').ReactNode}} props
 */
export function FoldcastProvider({ client, children }) {
  return createElement(Client.Provider, { value: client }, children);
}

/**
 * An order as it stands: `version`, `projection` (`undefined` until the first answer and on a server), `events` of the last
 * update, `error` once the order has ended with one, and `stale`: whether it may be behind without anybody knowing.
 *
 * @param {string} orderId
 */
export function useOrder(orderId) {
  const client = useContext(Client);
  if (!client) throw new Error('useOrder needs a FoldcastProvider above it');
  // What was seen outlives a component that is mounted twice, as StrictMode does.
  const seen = useMemo(() => ({ client, orderId, order: /** @type {any} */ (NOTHING) }), [client, orderId]);
  const subscribe = useCallback(
    (/** @type {() => void} */ changed) => {
      const show = (/** @type {object} */ order) => {
        seen.order = Object.freeze({ ...seen.order, ...order });
        changed();
      };
      return seen.client.subscribe(
        seen.orderId,
        ({ version, projection, events }) => show({ version, projection, events, error: undefined }),
        {
          error: (error) => show({ error, stale: true }),
          current: (isCurrent) => seen.order.stale === isCurrent && show({ stale: !isCurrent }),
        },
      );
    },
    [seen],
  );
  return useSyncExternalStore(subscribe, () => seen.order, () => NOTHING);
}
