// A page that looks at one order at a time.

import { connect } from '@foldcast/client';

const url = new URLSearchParams(location.search).get('url') ?? 'ws://127.0.0.1:3001/local';
const client = connect({ url });
const [form, status, projected, events] = ['form', '[role=status]', 'pre', 'ol'].map((name) => document.querySelector(name));
let looking = new AbortController();

form.addEventListener('submit', async (submit) => {
  submit.preventDefault();
  looking.abort();
  looking = new AbortController();
  events.replaceChildren();
  projected.textContent = '';
  status.textContent = 'connecting';
  try {
    for await (const update of client.order(form.elements.orderId.value, { signal: looking.signal })) {
      status.textContent = `version ${update.version}`;
      projected.textContent = JSON.stringify(update.projection, null, 2);
      for (const { version, data } of update.events) {
        const item = document.createElement('li');
        item.value = version;
        item.textContent = data.eventName;
        events.append(item);
      }
    }
  } catch (error) {
    status.textContent = error.message;
  }
});
