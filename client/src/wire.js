// What is said on a connection: messages as JSON, none larger than the gateway and API Gateway take.

/** Orders and bytes of one message: the gateway takes 100 orders, API Gateway 32 KB. */
const ORDERS_MAX = 100;
const MESSAGE_BYTES_MAX = 30_000;

export function send(socket, message) {
  if (socket.readyState === 1) socket.send(JSON.stringify(message));
}

/** What is said about orders, in as many messages as it takes. */
export function chunks(all) {
  const messages = [];
  let bytes = Infinity;
  for (const each of all) {
    const size = JSON.stringify(each).length * 3;
    if (bytes + size > MESSAGE_BYTES_MAX || messages.at(-1).length === ORDERS_MAX) {
      messages.push([]);
      bytes = 0;
    }
    messages.at(-1).push(each);
    bytes += size;
  }
  return messages;
}
