// The functions. A function's dependencies are its permissions: a right here without the crate to use it fails a test.
// Owns: for each function its time, its memory, its environment and its rights.
// Must not know: which route or feed invokes it.
// Source: ARCHITECTURE.md, "The rooms"; each environment variable is read by the function's `from_vars`.
import { Duration } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Access } from './access.ts';
import type { Artefacts } from './artefacts.ts';
import type { LogAddress, TableAddress } from './event-log.ts';
import type { Gateway } from './gateway.ts';
import { PAGE_TIMEOUT, PAGES_AT_ONCE } from './page-queue.ts';
import { allow, RustFunction, type RustFunctionProps } from './rust-function.ts';
import type { Subscriptions } from './subscriptions.ts';

/** Reserved concurrency: so many executions are kept for a function, and it never has more. */
export interface Concurrency {
  /** Of the event-handler: a flood of messages cannot take the executions of the change feed. */
  readonly eventHandler?: number;
  /** Of `subscribe`: browsers' messages take no more than this of the account. */
  readonly subscribe?: number;
}

export interface FunctionsProps {
  readonly access: Access;
  readonly artefacts: Artefacts;
  readonly concurrency?: Concurrency;
  readonly connections: TableAddress;
  readonly eventLog: LogAddress;
  readonly failureQueue: IQueue;
  readonly gateway: Gateway;
  readonly logRetention: RetentionDays;
  readonly orderQueue: IQueue;
  readonly pageQueue: IQueue;
  readonly projections: TableAddress;
  readonly subscriptions: Subscriptions;
}

/** For what waits for one or two calls: the smallest memory whose share of a processor (a seventh) is not felt at the start. */
const WAITING_MB = 256;

/**
 * One whole processor. Each push costs processor time, 0.1 ms and more, so a smaller share of one takes longer by as much and
 * costs the same; dearer is only the waiting for DynamoDB, which is short.
 */
const PUSHING_MB = 1_769;

export class Functions extends Construct {
  readonly authorizer: IFunction;
  readonly connect: IFunction;
  readonly disconnect: IFunction;
  readonly subscribe: IFunction;
  readonly eventHandler: IFunction;
  readonly fanOut: IFunction;

  constructor(scope: Construct, id: string, props: FunctionsProps) {
    super(scope, id);
    const { access, artefacts, connections, eventLog, failureQueue, gateway, orderQueue, pageQueue, projections, subscriptions } = props;
    const rust = (id: string, more: Omit<RustFunctionProps, 'artefacts' | 'logRetention'>): IFunction =>
      new RustFunction(this, id, { artefacts, logRetention: props.logRetention, ...more }).lambda;

    this.authorizer = rust('Authorizer', {
      crate: 'authorizer',
      // API Gateway waits for it while the browser waits for both; it waits 3 seconds for keys.
      timeout: Duration.seconds(5),
      memorySize: WAITING_MB,
      environment: {
        JWKS_URL: access.jwksUrl,
        JWT_AUDIENCE: access.jwtAudience,
        JWT_ISSUER: access.jwtIssuer,
      },
      // A token is checked with what is public.
      permissions: [],
    });

    this.connect = rust('Connect', {
      crate: 'connect',
      timeout: Duration.seconds(5),
      memorySize: WAITING_MB,
      environment: { ALLOWED_ORIGINS: access.allowedOrigins.join(','), CONNECTIONS_TABLE: connections.tableName },
      permissions: [allow(connections.tableArn, 'dynamodb:PutItem')],
    });

    this.disconnect = rust('Disconnect', {
      crate: 'disconnect',
      timeout: Duration.seconds(5),
      memorySize: WAITING_MB,
      environment: {
        CONNECTIONS_TABLE: connections.tableName,
        SUBSCRIPTIONS_TABLE: subscriptions.tableName,
      },
      permissions: [
        allow(connections.tableArn, 'dynamodb:DeleteItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem'),
        allow(subscriptions.byConnectionArn, 'dynamodb:Query'),
      ],
    });

    // The functions that push read every table.
    const environment = {
      CONNECTIONS_TABLE: connections.tableName,
      MANAGEMENT_ENDPOINT: gateway.managementEndpoint,
      ORDER_PROJECTIONS_TABLE: projections.tableName,
      ORDER_STREAM_TABLE: eventLog.tableName,
      PUSH_PROCESSES_MAX: PAGES_AT_ONCE.toString(),
      REDACTED_FIELDS: access.redactedFields.join(','),
      REQUESTS_PER_SECOND: access.requestsPerSecond,
      SUBSCRIPTIONS_TABLE: subscriptions.tableName,
    };

    // When API Gateway says that a connection is gone, whoever hears it takes the connection and its subscriptions away;
    // when a subscription ends, its room in the connection's row is free again.
    const forgetTheGone: readonly PolicyStatement[] = [
      allow(connections.tableArn, 'dynamodb:DeleteItem', 'dynamodb:UpdateItem'),
      allow(subscriptions.byConnectionArn, 'dynamodb:Query'),
    ];

    const pushAndClose: readonly PolicyStatement[] = [
      allow(gateway.connectionsArn('POST'), 'execute-api:ManageConnections'),
      // DELETE closes the few connections that a push failed for, so that their clients resume from the log, and those
      // whose token has expired.
      allow(gateway.connectionsArn('DELETE'), 'execute-api:ManageConnections'),
    ];

    // A connection that is asked for tells an outage from a bad connection.
    const probe: readonly PolicyStatement[] = [allow(gateway.connectionsArn('GET'), 'execute-api:ManageConnections')];

    this.subscribe = rust('Subscribe', {
      crate: 'subscribe',
      // API Gateway waits no longer for an answer.
      timeout: Duration.seconds(29),
      memorySize: WAITING_MB,
      reservedConcurrency: props.concurrency?.subscribe,
      environment: { ...environment, SUBSCRIPTIONS_MAX: access.subscriptionsMax },
      permissions: [
        allow(eventLog.tableArn, 'dynamodb:Query'),
        allow(projections.tableArn, 'dynamodb:BatchGetItem', 'dynamodb:GetItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem', 'dynamodb:PutItem'),
        ...forgetTheGone,
        ...pushAndClose,
      ],
    });

    this.eventHandler = rust('EventHandler', {
      crate: 'event-handler',
      timeout: Duration.seconds(60),
      memorySize: PUSHING_MB,
      reservedConcurrency: props.concurrency?.eventHandler,
      environment: {
        ...environment,
        FAILURE_QUEUE_URL: failureQueue.queueUrl,
        ORDER_QUEUE_URL: orderQueue.queueUrl,
        PAGE_QUEUE_URL: pageQueue.queueUrl,
        // One batch of a shard is in flight, and a small log has one shard or a few; deferred orders are few as a rule.
        PUSH_PROCESSES_MAX: '4',
      },
      permissions: [
        // What the mappings do in this function's name.
        allow(
          eventLog.changeFeedArn,
          'dynamodb:DescribeStream',
          'dynamodb:GetRecords',
          'dynamodb:GetShardIterator',
          'dynamodb:ListStreams',
        ),
        allow(orderQueue.queueArn, 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'),
        // What its own code does; the mapping sends to the same queue in this function's name.
        allow(failureQueue.queueArn, 'sqs:SendMessage'),
        allow(orderQueue.queueArn, 'sqs:SendMessage'),
        allow(pageQueue.queueArn, 'sqs:SendMessage'),
        allow(eventLog.tableArn, 'dynamodb:Query'),
        allow(projections.tableArn, 'dynamodb:GetItem', 'dynamodb:PutItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem', 'dynamodb:Query'),
        ...forgetTheGone,
        ...pushAndClose,
        ...probe,
      ],
    });

    this.fanOut = rust('FanOut', {
      crate: 'fan-out',
      timeout: PAGE_TIMEOUT,
      memorySize: PUSHING_MB,
      environment: { ...environment, FAILURE_QUEUE_URL: failureQueue.queueUrl, PAGE_QUEUE_URL: pageQueue.queueUrl },
      permissions: [
        // What the mapping does in this function's name.
        allow(pageQueue.queueArn, 'sqs:DeleteMessage', 'sqs:GetQueueAttributes', 'sqs:ReceiveMessage'),
        // Who could not be reached goes back, and an order that cannot be read is dead-lettered.
        allow(failureQueue.queueArn, 'sqs:SendMessage'),
        allow(pageQueue.queueArn, 'sqs:SendMessage'),
        ...probe,
        allow(eventLog.tableArn, 'dynamodb:Query'),
        allow(projections.tableArn, 'dynamodb:GetItem'),
        allow(subscriptions.tableArn, 'dynamodb:BatchWriteItem', 'dynamodb:DeleteItem', 'dynamodb:Query'),
        ...forgetTheGone,
        ...pushAndClose,
      ],
    });

    gateway.acknowledgeAllConnections(this, 'DELETE', 'GET', 'POST');
  }

  /** All of them, each by its crate's name. */
  get all(): ReadonlyMap<string, IFunction> {
    return new Map([
      ['authorizer', this.authorizer],
      ['connect', this.connect],
      ['disconnect', this.disconnect],
      ['subscribe', this.subscribe],
      ['event-handler', this.eventHandler],
      ['fan-out', this.fanOut],
    ]);
  }
}
