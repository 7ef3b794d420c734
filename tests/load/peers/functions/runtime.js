// Lambda's Runtime API, as a function's own runtime speaks it.
// Owns: one invocation after the other.
// Must not know: what the handler does.
// Source: docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
import { Agent, request } from 'node:http';

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new Agent({ keepAlive: true });

function call(method, path, body) {
  return new Promise((resolve, reject) => {
    const sent = request({ agent, host, port, method, path: `/2018-06-01/runtime/invocation/${path}` }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => resolve({ headers: answer.headers, body: Buffer.concat(parts).toString() }));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

export async function serve(handler) {
  for (;;) {
    const { headers, body } = await call('GET', 'next');
    const reply = await handler(JSON.parse(body));
    await call('POST', `${headers['lambda-runtime-aws-request-id']}/response`, JSON.stringify(reply));
  }
}
