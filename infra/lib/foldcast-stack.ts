// The stack: what there is, and which route or feed leads to which function.
// Owns: the joints between the constructs of this folder, and the outputs.
// Must not know: the environment.
// Source: design.md.
import { CfnOutput, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { Access } from './access.ts';
import { inBucket, inFolder } from './artefacts.ts';
import { ChangeFeed } from './change-feed.ts';
import { Connections } from './connections.ts';
import { EventLog } from './event-log.ts';
import { FailureQueue } from './failure-queue.ts';
import { Functions } from './functions.ts';
import { Gateway } from './gateway.ts';
import { Projections } from './projections.ts';
import { Subscriptions } from './subscriptions.ts';

export interface FoldcastStackProps extends StackProps {
  /** The folder of the functions' code; without it the code is in a bucket that is a parameter of the template. */
  readonly folder?: string;
}

export class FoldcastStack extends Stack {
  constructor(scope: Construct, id: string, { folder, ...props }: FoldcastStackProps) {
    super(scope, id, props);

    const artefacts = folder === undefined ? inBucket(this) : inFolder(folder);

    const access = new Access(this, 'Access');
    const eventLog = new EventLog(this, 'EventLog');
    const projections = new Projections(this, 'Projections');
    const connections = new Connections(this, 'Connections');
    const subscriptions = new Subscriptions(this, 'Subscriptions');

    const gateway = new Gateway(this, 'Gateway');
    const failureQueue = new FailureQueue(this, 'FailureQueue');
    const functions = new Functions(this, 'Functions', {
      access,
      artefacts,
      connections,
      eventLog,
      failureQueue,
      gateway,
      projections,
      subscriptions,
    });

    gateway.entrance(functions.connect, functions.authorizer);
    gateway.oneWay(functions.disconnect, ['$disconnect']);
    // `$default` too, so that a message that nobody understands gets our error and not API Gateway's.
    gateway.twoWay(functions.subscribe, ['subscribe', 'unsubscribe', 'history', 'ping', '$default']);

    new ChangeFeed(this, 'ChangeFeed', { eventLog, eventHandler: functions.eventHandler, failureQueue });

    new CfnOutput(this, 'WebSocketUrl', { value: gateway.url });
    new CfnOutput(this, 'ManagementEndpoint', { value: gateway.managementEndpoint });
    new CfnOutput(this, 'FailureQueueUrl', { value: failureQueue.queueUrl });
    new CfnOutput(this, 'OrderStreamTable', { value: eventLog.tableName });
    new CfnOutput(this, 'OrderProjectionsTable', { value: projections.tableName });
    new CfnOutput(this, 'ConnectionsTable', { value: connections.tableName });
    new CfnOutput(this, 'SubscriptionsTable', { value: subscriptions.tableName });
  }
}
