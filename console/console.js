// The console's page: which order is looked at, and what the stack does meanwhile.
//
// Owns: wiring the parts of the page to the client and to the stack.
// Must not know: how an order or the stack is shown.
// Source: docs/console.md.

import { connect } from '/client/index.js';

import { OrderView } from './order.js';
import { ask, showOrders, showStack } from './stack.js';

const POLL_MS = 1_000;

/** No form of another site asks like this. */
const POST = { method: 'POST', headers: { 'content-type': 'application/json' } };

const { stage } = await ask('stack');
const client = connect({
  url: `${location.protocol.replace('http', 'ws')}//${location.host}/${stage}`,
  token: async () => (await ask('token', POST)).token ?? undefined,
  backoffMaxMs: 2_000,
});
const order = new OrderView(client);

/** The order in the address: a link leads to it. */
function look(orderId) {
  if (orderId === order.orderId) return;
  history.replaceState(null, '', `#${encodeURIComponent(orderId)}`);
  order.look(orderId);
}

async function refresh() {
  const looked = order.orderId;
  try {
    const [stack, { orders }] = await Promise.all([ask('stack'), ask('orders')]);
    const subscribers = looked ? (await ask(`orders/${encodeURIComponent(looked)}/subscribers`)).connectionIds : [];
    showOrders(orders, order.orderId, look);
    showStack(stack, orders.length, new Set(subscribers));
  } catch {
    document.querySelector('#summary').textContent = 'the stack does not answer';
  }
}

const sample = document.querySelector('#sample');
sample.addEventListener('click', async () => {
  const { orderId } = await ask('sample', POST);
  look(orderId);
});
sample.disabled = false;
addEventListener('hashchange', () => look(decodeURIComponent(location.hash.slice(1))));
if (location.hash.length > 1) look(decodeURIComponent(location.hash.slice(1)));

for (;;) {
  if (document.visibilityState === 'visible') await refresh();
  await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}
