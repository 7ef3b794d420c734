// An update to many subscribers.
// Owns: one message for all of them, and a call each.
// Must not know: where the update comes from.
// Source: shared/protocol/README.md, the SDK's documentation
import { ApiGatewayManagementApiClient, PostToConnectionCommand } from '@aws-sdk/client-apigatewaymanagementapi';
import { shown } from './update.js';

const posts = new ApiGatewayManagementApiClient({ endpoint: process.env.MANAGEMENT_ENDPOINT });

export async function push(orderId, events, { version, projection }, subscribers) {
  const Data = JSON.stringify({ type: 'update', orderId, version, events: shown(events), projection: shown(projection) });
  await Promise.all(subscribers.map(({ connectionId: ConnectionId }) => posts.send(new PostToConnectionCommand({ ConnectionId, Data }))));
}
