// One order on the page: its events, and its projection as it stands or stood.
//
// Owns: following the order, going back in time, marking what the last event changed.
// Must not know: other orders, the stack.
// Source: docs/client.md.

const $ = (selector) => document.querySelector(selector);

/** Events that are listed; older ones are reached by the slider. */
const EVENTS_MAX = 200;

export class OrderView {
  orderId = undefined;
  #client;
  #events = [];
  #head = 0;
  #projection = {};
  /** The projection before the last update, with its version. */
  #before = { version: 0, projection: {} };
  #isLive = true;
  #looking = new AbortController();

  constructor(client) {
    this.#client = client;
    $('#version').addEventListener('input', ({ target }) => this.#travel(Number(target.value)));
    $('#live').addEventListener('click', () => this.#goLive());
  }

  /** Follows an order from its first event on. */
  look(orderId) {
    this.#looking.abort();
    this.#looking = new AbortController();
    this.orderId = orderId;
    this.#events = [];
    this.#head = 0;
    this.#projection = {};
    this.#isLive = true;
    $('#order').hidden = false;
    $('#order-title').textContent = orderId;
    $('#order-status').textContent = 'no event yet';
    $('#projection').replaceChildren();
    $('#events').replaceChildren();
    this.#client.subscribe(orderId, (update) => this.#show(update), {
      since: 0,
      signal: this.#looking.signal,
      error: ({ message }) => ($('#order-status').textContent = message),
    });
  }

  #show({ version, events, projection, reset }) {
    this.#events = (reset ? events : [...this.#events, ...events]).slice(-EVENTS_MAX);
    this.#before = { version: this.#head, projection: this.#projection };
    this.#head = version;
    this.#projection = projection;
    const slider = $('#version');
    slider.max = String(Math.max(version, 1));
    slider.disabled = version < 2;
    if (this.#isLive) this.#goLive();
    else this.#list(Number(slider.value));
  }

  #goLive() {
    this.#isLive = true;
    $('#version').value = String(this.#head);
    this.#travel(this.#head);
  }

  /** Shows a version as it stood; the one before tells what its event changed. */
  async #travel(version) {
    this.#isLive = version === this.#head;
    const order = this.#client.order(this.orderId);
    const [{ projection }, before] = await Promise.all([
      this.#isLive ? { projection: this.#projection } : order.at(version),
      this.#isLive && this.#before.version === version - 1 ? this.#before : version > 1 ? order.at(version - 1) : { projection: {} },
    ]);
    // Another order may be looked at by now, or another version.
    if (order.orderId === this.orderId && Number($('#version').value) === Math.max(version, 1)) this.#draw(version, projection, before.projection);
  }

  #draw(version, projection, before) {
    $('#version-shown').textContent = `${version} of ${this.#head}`;
    $('#live').disabled = this.#isLive;
    $('#order-status').textContent = version > 0 ? `${this.#isLive ? 'live' : 'as it stood'} at version ${version}` : 'no event yet';
    const names = [...new Set([...Object.keys(projection), ...Object.keys(before)])].sort();
    const rows = names.map((name) => {
      const [value, old] = [projection[name], before[name]].map((value) => (value === undefined ? '' : JSON.stringify(value)));
      const row = document.createElement('tr');
      const title = document.createElement('th');
      title.scope = 'row';
      title.textContent = name;
      row.append(title, cell(value), cell(value === old ? '' : value === '' ? 'removed' : old === '' ? 'added' : 'changed'));
      row.classList.toggle('changed', value !== old);
      return row;
    });
    $('#projection').replaceChildren(...rows);
    this.#list(version);
  }

  #list(shown) {
    const items = this.#events.toReversed().map(({ version, ts, data }) => {
      const button = document.createElement('button');
      button.type = 'button';
      if (version === shown) button.setAttribute('aria-current', 'true');
      const time = document.createElement('time');
      const date = new Date(ts / 1000);
      // A producer may have written any number.
      if (!Number.isNaN(date.getTime())) {
        time.dateTime = date.toISOString();
        time.textContent = date.toLocaleString();
      }
      button.append(`${version}`, ' ', data.eventName, time);
      button.addEventListener('click', () => {
        $('#version').value = String(version);
        this.#travel(version);
      });
      const item = document.createElement('li');
      item.append(button);
      return item;
    });
    $('#events').replaceChildren(...items);
  }
}

function cell(text) {
  const cell = document.createElement('td');
  cell.textContent = text;
  return cell;
}
