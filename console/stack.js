// The stack on the page: orders, connections, invocations, queues.
//
// Owns: asking the admin endpoint, and showing what it tells.
// Must not know: what an order looks like.
// Source: cli/src/console.rs.

const $ = (selector) => document.querySelector(selector);

/** Invocations that are shown; the stack remembers more. */
const INVOCATIONS_MAX = 50;

/** What the admin endpoint answers. */
export async function ask(what, options) {
  const answer = await fetch(`/admin/${what}`, options);
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
}

/** Lists the orders; a list that did not change keeps its nodes, and with them the keyboard's place. */
export function showOrders(orders, current, look) {
  const list = $('#orders');
  const shown = JSON.stringify([orders, current]);
  if (list.dataset.shown === shown) return;
  list.dataset.shown = shown;
  const focused = document.activeElement?.dataset?.orderId;
  const items = orders.map(({ orderId, version }) => {
    const button = document.createElement('button');
    button.type = 'button';
    button.dataset.orderId = orderId;
    if (orderId === current) button.setAttribute('aria-current', 'true');
    const events = document.createElement('small');
    events.textContent = `${version} ${version === 1 ? 'event' : 'events'}`;
    button.append(orderId, events);
    button.addEventListener('click', () => look(orderId));
    const item = document.createElement('li');
    item.append(button);
    return item;
  });
  list.replaceChildren(...items);
  for (const button of list.querySelectorAll('button')) if (button.dataset.orderId === focused) button.focus();
}

/** Shows connections, invocations and what is on the queues. */
export function showStack({ connections, invocations, queues }, orders, subscribers) {
  const messages = Object.values(queues).flat();
  $('#summary').textContent =
    `${count(orders, 'order')}, ${count(connections.length, 'connection')}, ${count(messages.length, 'failure')}`;
  fill('#connections', connections, 'none is open', ({ connectionId, connectedAtMs }) => {
    const item = element('li', '');
    item.append(element('span', connectionId, 'id'), ` since ${clock(connectedAtMs)}`);
    if (subscribers.has(connectionId)) item.append(', subscribed to this order');
    return item;
  });
  fill('#invocations', invocations.slice(0, INVOCATIONS_MAX), '', ({ handler, durationMs, error, begunAtMs }) => {
    const row = element('tr', '');
    row.title = clock(begunAtMs);
    row.append(element('td', handler), element('td', durationMs.toFixed(1)), element('td', error ?? 'ok', error ? 'failed' : ''));
    return row;
  });
  fill('#failures', messages, 'empty', ({ body, sentAtMs }) => element('li', `${clock(sentAtMs)} ${JSON.stringify(body)}`, 'failed'));
}

function fill(selector, values, empty, show) {
  const nodes = values.length === 0 && empty ? [element('li', empty, 'empty')] : values.map(show);
  $(selector).replaceChildren(...nodes);
}

function element(name, text, className = '') {
  const node = document.createElement(name);
  node.textContent = text;
  node.className = className;
  return node;
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

function clock(ms) {
  return new Date(ms).toLocaleTimeString();
}
