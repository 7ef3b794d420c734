// The stack: the state and the push gateway, with what the operator says of them.
// Owns: the joints between the two, and the outputs.
// Must not know: the environment.
// Source: docs/decisions/0007-state-is-a-nested-stack.md.
import { CfnOutput, NestedStack, Stack, type StackProps } from 'aws-cdk-lib';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { type Artefacts, inBucket } from './artefacts.ts';
import { FaunaFeed } from './fauna-feed.ts';
import { Parameters } from './parameters.ts';
import { PushGateway } from './push-gateway.ts';
import type { Settings } from './settings.ts';
import { State } from './state.ts';

export interface FoldcastStackProps extends StackProps {
  /** Where the functions' programs come from; without it from a bucket that is a parameter of the template. */
  readonly artefacts?: Artefacts;
  /** Whether the state is a template of its own, as it is deployed, or all is one template, as it runs on one machine. */
  readonly stateApart: boolean;
  readonly settings?: Settings;
}

export class FoldcastStack extends Stack {
  constructor(scope: Construct, id: string, { artefacts, stateApart, settings = {}, ...props }: FoldcastStackProps) {
    super(scope, id, props);

    const { existing, alarmTopicArn, ...rest } = settings;
    const from = artefacts ?? inBucket(this);
    const { access, stageName } = new Parameters(this, 'Parameters');
    // A stack without a resource is refused.
    const isEmpty = existing?.eventLogStreamArn !== undefined && existing.projectionsTableArn !== undefined;
    const scopeOfState = stateApart && !isEmpty ? new NestedStack(this, 'StateStack') : this;
    const { eventLog, projections } = new State(scopeOfState, 'State', existing);
    const alarms =
      alarmTopicArn === undefined ? {} : { alarmTopic: Topic.fromTopicArn(this, 'AlarmTopic', alarmTopicArn) };
    const { gateway, failureQueue, connections, subscriptions, domain } = new PushGateway(this, 'PushGateway', {
      access,
      artefacts: from,
      eventLog,
      projections,
      stageName,
      ...rest,
      ...alarms,
    });
    const { logRetention } = rest;
    new FaunaFeed(this, 'FaunaFeed', {
      artefacts: from,
      eventLog,
      failureQueue,
      ...alarms,
      ...(logRetention === undefined ? {} : { logRetention }),
    });

    const outputs = {
      WebSocketUrl: gateway.url,
      ManagementEndpoint: gateway.managementEndpoint,
      FailureQueueUrl: failureQueue.queueUrl,
      OrderStreamTable: eventLog.tableName,
      OrderProjectionsTable: projections.tableName,
      ConnectionsTable: connections.tableName,
      SubscriptionsTable: subscriptions.tableName,
      // Where the record of the domain name must point.
      ...(domain === undefined ? {} : { DomainTarget: domain.regionalDomainName }),
    };
    for (const [name, value] of Object.entries(outputs)) new CfnOutput(this, name, { value });
  }
}
