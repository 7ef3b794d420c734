// A page in Chromium, and a local stack for it.
//
// Owns: starting and ending them, on ports of their own.
// Must not know: what a test is about.
// Source: FOLDCAST_BINARY is set by `cargo xtask test`; Chromium is the machine's.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';

import { chromium } from 'playwright-core';

const ROOT = new URL('..', import.meta.url).pathname;
const TYPES = { '.js': 'text/javascript', '.html': 'text/html' };
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];

/** A folder that is gone after the test. */
export async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), 'foldcast-client-'));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A `foldcast up` with its data in a folder; `port` 0 takes a free one, `more` are flags, `variables` its environment. */
export async function startStack(t, data, { port = 0, limits = {}, more = [], variables = {} } = {}) {
  const limitsFile = join(data, 'limits.json');
  await writeFile(limitsFile, JSON.stringify(limits));
  const flags = ['--data', join(data, 'data'), '--port', port, '--dynamodb-port', 0, '--limits', limitsFile];
  const child = spawn(process.env.FOLDCAST_BINARY, ['up', ...flags.map(String), ...more], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { PATH: process.env.PATH, RUST_LOG: 'off', ...variables },
  });
  const printed = {};
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ready ')) break;
    const [name, address] = line.split(/\s+/);
    printed[name] = address;
  }
  child.stdout.resume();
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  };
  t.after(() => end('SIGTERM'));
  return {
    url: printed.websocket,
    port: Number(new URL(printed.websocket).port),
    kill: () => end('SIGKILL'),
    /** Appends events, each with the number of its version in `n`. */
    append(orderId, from, to, more = {}) {
      const data = (n) => ({ orderId, n, stripeToken: 'secret', ...more });
      return append(printed.dynamodb, versions(to).slice(from - 1).map((n) => event(n, data(n))));
    },
    /** Calls DynamoDB as a foreign program does. */
    async dynamodb(operation, item) {
      const scope = 'local/20261124/us-east-1/dynamodb/aws4_request';
      const answer = await fetch(printed.dynamodb, {
        method: 'POST',
        headers: {
          'x-amz-target': `DynamoDB_20120810.${operation}`,
          'content-type': 'application/x-amz-json-1.0',
          authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
          'x-amz-date': '20261124T000000Z',
        },
        body: JSON.stringify(item),
      });
      if (!answer.ok) throw new Error(`${operation}: ${answer.status}`);
    },
    /** The status of a page that is asked for by another host's name. */
    async statusFor(path, host) {
      const asked = request({ host: '127.0.0.1', port: new URL(printed.websocket).port, path, headers: { host } }).end();
      const [answer] = await once(asked, 'response');
      answer.resume();
      return answer.statusCode;
    },
    /** Appends these events at once. */
    appendAll(events) {
      return append(printed.dynamodb, events.map(({ ref, ...data }) => ({ ...event(1, data), ref })));
    },
    /** Appends one event with a long note. */
    appendLarge(orderId, characters) {
      return append(printed.dynamodb, [event(1, { orderId, note: 'x'.repeat(characters) })]);
    },
  };
}

function event(n, data) {
  return { ref: String(n), ts: n, data: { eventName: 'OrderChanged', ...data } };
}

async function append(endpoint, events) {
  const child = spawn(process.env.FOLDCAST_BINARY, ['append', '-', '--endpoint-url', endpoint], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  child.stdin.end(JSON.stringify(events));
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`foldcast append ended with ${code}`);
}

/** The package's files over HTTP, as any server would. */
async function serveFiles(t) {
  /** What is below `/built/` is in this folder. */
  const roots = { built: ROOT };
  const server = createServer(async ({ url }, response) => {
    const path = normalize(new URL(url, 'http://localhost').pathname);
    try {
      const name = path.startsWith('/built/') ? join(roots.built, path.slice('/built'.length)) : join(ROOT, path);
      const file = path === '/' ? '<!doctype html><title>page</title>' : withImports(name, await readFile(name));
      response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'text/html' }).end(file);
    } catch {
      response.writeHead(404).end();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  return { origin: `http://127.0.0.1:${server.address().port}`, roots };
}

/** A page without a build says in an import map where the package is. */
function withImports(name, file) {
  if (!name.endsWith('/example/index.html')) return file;
  const imports = '<script type="importmap">{"imports":{"@foldcast/client":"/src/index.js"}}</script>';
  return String(file).replace('</head>', `${imports}</head>`);
}

/** A browser whose pages have the client as the global `foldcast`. */
export async function startBrowser(t) {
  const { origin, roots } = await serveFiles(t);
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
  t.after(() => browser.close());
  const context = await browser.newContext();
  return {
    context,
    /** A page at a path; `/built/…` is in the folder `built`. */
    async at(path, built) {
      roots.built = built;
      const page = await context.newPage();
      await page.goto(`${origin}${path}`);
      return page;
    },
    async page() {
      const page = await context.newPage();
      await page.goto(`${origin}/`);
      await page.evaluate(async () => {
        globalThis.foldcast = await import('/src/index.js');
        /** Follows orders and keeps what comes. */
        globalThis.follow = (client, ...orderIds) => {
          globalThis.seen ??= {};
          for (const orderId of orderIds) {
            const seen = (globalThis.seen[orderId] = { versions: [], updates: 0, projection: undefined, error: undefined });
            client.subscribe(
              orderId,
              ({ events, projection }) => {
                seen.updates += 1;
                seen.versions.push(...events.map((event) => event.version));
                seen.projection = projection;
              },
              { since: 0, error: ({ code }) => (seen.error = code) },
            );
          }
        };
      });
      return page;
    },
  };
}

/** Waits until an order has so many events on a page; the answer is what the page has of it. */
export async function until(page, orderId, count) {
  await page.waitForFunction(([id, n]) => globalThis.seen?.[id]?.versions.length >= n, [orderId, count], { timeout: 60_000 });
  return page.evaluate((id) => globalThis.seen[id], orderId);
}

/** 1 to `last`. */
export function versions(last) {
  return Array.from({ length: last }, (_, index) => index + 1);
}

/** A token of `foldcast token` for a user. */
export function foldcastToken(sub, expiresIn = 60) {
  return execFileSync(process.env.FOLDCAST_BINARY, ['token', '--sub', sub, '--expires-in', String(expiresIn)], { encoding: 'utf8' }).trim();
}
