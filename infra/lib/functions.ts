// The five functions. A function's dependencies are its permissions: a right here without the crate to use it fails a test.
// Owns: for each function its time, its environment and its rights.
// Must not know: which route or feed invokes it.
// Source: style.md, "The tree"; each environment variable is read by the function's `Config::from_vars`.
import { Duration } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Access } from './access.ts';
import type { Artefacts } from './artefacts.ts';
import type { Connections } from './connections.ts';
import type { EventLog } from './event-log.ts';
import type { Gateway } from './gateway.ts';
import type { Projections } from './projections.ts';
import { allow, RustFunction } from './rust-function.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface FunctionsProps {
  readonly access: Access;
  readonly artefacts: Artefacts;
  readonly connections: Connections;
  readonly eventLog: EventLog;
  readonly failureQueue: IQueue;
  readonly gateway: Gateway;
  readonly projections: Projections;
  readonly subscriptions: Subscriptions;
}

export class Functions extends Construct {
  readonly authorizer: IFunction;
  readonly connect: IFunction;
  readonly disconnect: IFunction;
  readonly subscribe: IFunction;
  readonly eventHandler: IFunction;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const { access, artefacts, connections, eventLog, failureQueue, gateway, projections, subscriptions } = props;

    this.authorizer = new RustFunction(this, 'Authorizer', {
      handler: 'authorizer',
      code: artefacts('authorizer'),
      // API Gateway waits for it while the browser waits for both; it waits 3 seconds for keys.
      timeout: Duration.seconds(5),
      environment: {
        JWKS_URL: access.jwksUrl,
        JWT_AUDIENCE: access.jwtAudience,
        JWT_ISSUER: access.jwtIssuer,
      },
      // A token is checked with what is public.
      permissions: [],
    }).lambda;

    this.connect = new RustFunction(this, 'Connect', {
      handler: 'connect',
      code: artefacts('connect'),
      timeout: Duration.seconds(5),
      environment: { ALLOWED_ORIGINS: access.allowedOrigins, CONNECTIONS_TABLE: connections.tableName },
      permissions: [allow(connections.tableArn, 'dynamodb:PutItem')],
    }).lambda;

    this.disconnect = new RustFunction(this, 'Disconnect', {
      handler: 'disconnect',
      code: artefacts('disconnect'),
      timeout: Duration.seconds(5),
      environment: {
        CONNECTIONS_TABLE: connections.tableName,
        SUBSCRIPTIONS_TABLE: subscriptions.tableName,
      },
      permissions: [
        allow(connections.tableArn, 'dynamodb:DeleteItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem'),
        allow(subscriptions.byConnectionArn, 'dynamodb:Query'),
      ],
    }).lambda;

    // The two functions that push read every table.
    const environment = {
      CONNECTIONS_TABLE: connections.tableName,
      MANAGEMENT_ENDPOINT: gateway.managementEndpoint,
      ORDER_PROJECTIONS_TABLE: projections.tableName,
      ORDER_STREAM_TABLE: eventLog.tableName,
      REDACTED_FIELDS: access.redactedFields,
      SUBSCRIPTIONS_TABLE: subscriptions.tableName,
    };

    // When API Gateway says that a connection is gone, whoever hears it takes the connection and its subscriptions away;
    // when a subscription ends, its room in the connection's row is free again.
    const forgetTheGone: readonly PolicyStatement[] = [
      allow(connections.tableArn, 'dynamodb:DeleteItem', 'dynamodb:UpdateItem'),
      allow(subscriptions.byConnectionArn, 'dynamodb:Query'),
    ];

    this.subscribe = new RustFunction(this, 'Subscribe', {
      handler: 'subscribe',
      code: artefacts('subscribe'),
      // API Gateway waits no longer for an answer.
      timeout: Duration.seconds(29),
      environment: { ...environment, SUBSCRIPTIONS_MAX: access.subscriptionsMax },
      permissions: [
        allow(eventLog.tableArn, 'dynamodb:Query'),
        allow(projections.tableArn, 'dynamodb:GetItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem', 'dynamodb:PutItem'),
        ...forgetTheGone,
        allow(gateway.connectionsArn('POST'), 'execute-api:ManageConnections'),
        // DELETE ends a connection whose token has expired.
        allow(gateway.connectionsArn('DELETE'), 'execute-api:ManageConnections'),
      ],
    }).lambda;

    this.eventHandler = new RustFunction(this, 'EventHandler', {
      handler: 'event-handler',
      code: artefacts('event-handler'),
      timeout: Duration.seconds(60),
      environment: { ...environment, FAILURE_QUEUE_URL: failureQueue.queueUrl },
      permissions: [
        // What the mapping does in this function's name.
        allow(
          eventLog.changeFeedArn,
          'dynamodb:DescribeStream',
          'dynamodb:GetRecords',
          'dynamodb:GetShardIterator',
          'dynamodb:ListStreams',
        ),
        // What its own code does; the mapping sends to the same queue in this function's name.
        allow(failureQueue.queueArn, 'sqs:SendMessage'),
        allow(eventLog.tableArn, 'dynamodb:Query'),
        allow(projections.tableArn, 'dynamodb:GetItem', 'dynamodb:PutItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem', 'dynamodb:Query'),
        ...forgetTheGone,
        allow(gateway.connectionsArn('POST'), 'execute-api:ManageConnections'),
        // DELETE closes the few connections that a push failed for, so that their clients resume from the log, and those
        // whose token has expired.
        allow(gateway.connectionsArn('DELETE'), 'execute-api:ManageConnections'),
      ],
    }).lambda;

    gateway.acknowledgeAllConnections(this, 'DELETE', 'POST');
  }
}
