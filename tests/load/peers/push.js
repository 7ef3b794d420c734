// Pushing with the AWS SDK for JavaScript.
// Owns: sending so many pushes with so many in flight, and what that cost.
// Must not know: the other sides.
// Source: the SDK's documentation; connections are kept, and there are as many as pushes in flight.
import { createInterface } from 'node:readline';
import { Agent } from 'node:http';
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { NodeHttpHandler } from '@smithy/node-http-handler';

const client = new ApiGatewayManagementApiClient({
  endpoint: process.argv[2],
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  maxAttempts: 1,
  requestHandler: new NodeHttpHandler({ httpAgent: new Agent({ keepAlive: true, maxSockets: 256 }) }),
});
const Data = Buffer.from('x'.repeat(1024));

async function round(inFlight, count) {
  let next = 0;
  let delivered = 0;
  const worker = async () => {
    while (next < count) {
      const ConnectionId = `L0SM9cOFvHc${String(next++).padStart(5, '0')}=`;
      const answer = await client.send(new PostToConnectionCommand({ ConnectionId, Data }));
      delivered += answer.$metadata.httpStatusCode === 200 ? 1 : 0;
    }
  };
  const before = process.cpuUsage();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const { user, system } = process.cpuUsage(before);
  return { cpuUs: user + system, delivered };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { inFlight, count } = JSON.parse(line);
  console.log(JSON.stringify(await round(inFlight, count)));
}
