// The local stack as a foreign client finds it: a process with addresses and one pair of keys.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { ApiGatewayManagementApiClient } from '@aws-sdk/client-apigatewaymanagementapi';
import WebSocket from 'ws';

const PATIENCE_MS = 60_000;

/** One `foldcast up`, in memory and on free ports, with these numbers of API Gateway. */
export async function startStack(limits = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'foldcast-foreign-'));
  const limitsFile = join(folder, 'limits.json');
  await writeFile(limitsFile, JSON.stringify(limits));
  const flags = ['up', '--ephemeral', '--port', '0', '--dynamodb-port', '0', '--limits', limitsFile];
  const child = spawn(process.env.FOLDCAST_BINARY, flags, { stdio: ['ignore', 'pipe', 'inherit'], cwd: folder });
  const printed = {};
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('ready ')) break;
    const [name, address] = line.split(/\s+/);
    printed[name] = address;
  }
  child.stdout.resume();
  return {
    websocketUrl: printed.websocket,
    managementUrl: printed.management,
    dynamodbUrl: printed.dynamodb,
    async stop() {
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      const [code] = await ended;
      await rm(folder, { recursive: true });
      if (code !== 0) throw new Error(`foldcast up ended with ${code}`);
    },
  };
}

/** A client that knows an address, the region and the keys, and nothing of this machine. */
export function management(endpoint, secretAccessKey = 'local') {
  return new ApiGatewayManagementApiClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey },
    maxAttempts: 1,
  });
}

/** The ids of the open connections, from the table that `$connect` writes. */
export async function connectionIds(dynamodbUrl) {
  const scope = 'local/20261124/us-east-1/dynamodb/aws4_request';
  const answer = await fetch(dynamodbUrl, {
    method: 'POST',
    headers: {
      'x-amz-target': 'DynamoDB_20120810.Scan',
      'content-type': 'application/x-amz-json-1.0',
      authorization: `AWS4-HMAC-SHA256 Credential=${scope}, SignedHeaders=host, Signature=0`,
      'x-amz-date': '20261124T000000Z',
    },
    body: JSON.stringify({ TableName: 'connections', ConsistentRead: true }),
  });
  const { Items } = await answer.json();
  return Items.map((item) => item.connectionId.S);
}

/** A connected WebSocket whose messages are awaited one by one. */
export async function connect(url) {
  const socket = new WebSocket(url);
  const received = [];
  const waiting = [];
  socket.on('message', (data, isBinary) => {
    const message = { text: data.toString(), isBinary };
    const next = waiting.shift();
    if (next) next(message);
    else received.push(message);
  });
  await once(socket, 'open', { signal: AbortSignal.timeout(PATIENCE_MS) });
  return {
    socket,
    send: (text) => socket.send(text),
    next: () => (received.length > 0 ? Promise.resolve(received.shift()) : new Promise((taken) => waiting.push(taken))),
    closed: () => once(socket, 'close', { signal: AbortSignal.timeout(PATIENCE_MS) }).then(([code]) => code),
  };
}
