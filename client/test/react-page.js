// The page of react.test.js: components that look at orders.

import { StrictMode, createElement } from 'react';
import { createRoot } from 'react-dom/client';

import { connect } from '../src/index.js';
import { FoldcastProvider, useOrder } from '../src/react.js';

function Order({ id }) {
  const { version, projection, error, stale } = useOrder(id);
  return createElement('p', { className: id, 'data-stale': stale }, error?.code ?? `${version}:${projection?.n ?? 'none'}`);
}

globalThis.show = (url) => {
  const orders = ['a', 'a', 'b'].map((id, key) => createElement(Order, { id, key }));
  const page = createElement(StrictMode, null, createElement(FoldcastProvider, { client: connect({ url }) }, orders));
  createRoot(document.body.appendChild(document.createElement('main'))).render(page);
};
