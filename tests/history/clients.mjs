// Clients of `@foldcast/client`, each a page with a connection of its own. A line of standard input is what to do, a line of
// standard output is what a page was told, with the time of the machine's monotonic clock in microseconds.
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

const { connect } = await import(pathToFileURL(process.argv[2]));
const clients = new Map();
let watches = 0;
const counted = { sockets: 0, frames: 0 };

/** Counts what comes over the wire, whether a page is shown it or not. */
globalThis.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options);
    counted.sockets += 1;
    this.addEventListener('message', () => (counted.frames += 1));
  }
};

const write = (line) => process.stdout.write(`${JSON.stringify({ at: Number(process.hrtime.bigint() / 1_000n), ...line })}\n`);
const say = (said) => write({ said });

/** JSON with sorted names, as the checker writes it. */
function sorted(value) {
  if (Array.isArray(value)) return `[${value.map(sorted).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.keys(value).sort().map((name) => `${JSON.stringify(name)}:${sorted(value[name])}`);
  return `{${fields.join(',')}}`;
}

const digest = (projection) => createHash('sha256').update(sorted(projection)).digest('hex');

const commands = {
  count: () => write({ counted }),
  open: ({ client, url, token }) => clients.set(client, connect({ url, token: token ?? undefined })),
  watch({ client, orderId }) {
    const watch = ++watches;
    say({ watching: { watch, client, orderId, since: 0 } });
    const next = ({ version, events, projection, reset }) => {
      const shown = events.map((event) => [event.version, event.ref]);
      say({ update: { watch, version, events: shown, reset, projection: digest(projection) } });
    };
    const error = ({ code }) => {
      say({ ended: { watch, code } });
      // A page that lost an order looks at it again: it may come back.
      if (code === 'forbidden') setTimeout(() => commands.watch({ client, orderId }), 0);
    };
    clients.get(client).subscribe(orderId, next, { since: 0, error });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { does, ...what } = JSON.parse(line);
  commands[does](what);
}
process.exit(0);
