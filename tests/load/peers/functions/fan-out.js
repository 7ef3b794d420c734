// The fan-out in JavaScript: it pushes a stored update to a page of an order's subscribers.
// Owns: what the function `fan-out` does for pages whose projection is stored.
// Must not know: who handed the page over.
// Source: docs/tables.md, docs/guarantee.md
import { GetCommand } from '@aws-sdk/lib-dynamodb';
import { push } from './push.js';
import { query, tables } from './tables.js';

async function pushToPage({ orderId, first, after, last }) {
  const Key = { orderId };
  const { Item } = await tables.send(new GetCommand({ TableName: 'order_projections', Key, ConsistentRead: true }));
  const events = await query('order_stream', 'orderId = :orderId AND version BETWEEN :first AND :version', {
    ':orderId': orderId, ':first': first, ':version': Item.version,
  });
  const ids = await query('subscriptions', 'orderId = :orderId', { ':orderId': orderId });
  const page = ids.filter(({ connectionId }) => (!after || connectionId > after) && (!last || connectionId <= last));
  await push(orderId, events.map(({ version, ref, ts, data }) => ({ version, ref, ts, data })), Item, page);
}

export const handler = async ({ Records }) => {
  await Promise.all(Records.map(({ body }) => pushToPage(JSON.parse(body))));
  return { batchItemFailures: [] };
};
