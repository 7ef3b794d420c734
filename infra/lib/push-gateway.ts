// The push gateway: everything that runs, beside a log and projections that outlive it. For any CDK app.
// Owns: which route or feed leads to which function, and what is watched.
// Must not know: CloudFormation's parameters, the environment, where the state is.
// Source: ARCHITECTURE.md, "One event's journey".
import type { ThrottleSettings } from 'aws-cdk-lib/aws-apigatewayv2';
import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import type { Access } from './access.ts';
import { Alarms } from './alarms.ts';
import type { Artefacts } from './artefacts.ts';
import { ChangeFeed } from './change-feed.ts';
import { Connections } from './connections.ts';
import { GatewayDashboard } from './dashboard.ts';
import { Domain, type DomainProps } from './domain.ts';
import type { LogAddress, TableAddress } from './event-log.ts';
import { FailureQueue } from './failure-queue.ts';
import { type Concurrency, Functions } from './functions.ts';
import { Gateway } from './gateway.ts';
import { OrderQueue } from './order-queue.ts';
import { PageQueue } from './page-queue.ts';
import { Subscriptions } from './subscriptions.ts';

export interface PushGatewayProps {
  /** Whose tokens count, which pages connect, what is never sent. */
  readonly access: Access;
  /** Where the functions' programs come from. */
  readonly artefacts: Artefacts;
  /** The log: `new State(…).eventLog`, or any table with its keys, its index and a feed of new images. */
  readonly eventLog: LogAddress;
  readonly projections: TableAddress;
  /** The last part of the WebSocket address. Default: `live`. */
  readonly stageName?: string;
  /** A name of your own. Default: API Gateway's address. */
  readonly domain?: DomainProps;
  /** Of each route, in requests a second. Default: half of what an account has. */
  readonly throttle?: ThrottleSettings;
  /** Who is told of alarms. Default: nobody. */
  readonly alarmTopic?: ITopic;
  /** Executions that the account keeps for these functions and allows them at most. Default: none. */
  readonly concurrency?: Concurrency;
  /** How long logs are kept. Default: two weeks. */
  readonly logRetention?: RetentionDays;
}

/** A flood here leaves the account's other APIs their half. */
const THROTTLE_DEFAULT: ThrottleSettings = { rateLimit: 5_000, burstLimit: 2_500 };

export class PushGateway extends Construct {
  readonly gateway: Gateway;
  readonly failureQueue: IQueue;
  readonly connections: TableAddress;
  readonly subscriptions: TableAddress;
  readonly domain?: Domain;

  constructor(scope: Construct, id: string, props: PushGatewayProps) {
    super(scope, id);
    const { access, artefacts, eventLog, projections, alarmTopic: topic } = props;
    const logRetention = props.logRetention ?? RetentionDays.TWO_WEEKS;

    const connections = new Connections(this, 'Connections');
    const subscriptions = new Subscriptions(this, 'Subscriptions');
    const failureQueue = new FailureQueue(this, 'FailureQueue');
    const orderQueue = new OrderQueue(this, 'OrderQueue', failureQueue);
    const pageQueue = new PageQueue(this, 'PageQueue', failureQueue);
    if (props.domain !== undefined) this.domain = new Domain(this, 'Domain', props.domain);
    const gateway = new Gateway(this, 'Gateway', {
      stageName: props.stageName ?? 'live',
      throttle: props.throttle ?? THROTTLE_DEFAULT,
      logRetention,
      ...(this.domain === undefined ? {} : { domain: this.domain }),
    });
    const functions = new Functions(this, 'Functions', {
      access,
      artefacts,
      connections,
      eventLog,
      failureQueue,
      gateway,
      logRetention,
      orderQueue,
      pageQueue,
      projections,
      subscriptions,
      ...(props.concurrency === undefined ? {} : { concurrency: props.concurrency }),
    });
    const { eventHandler } = functions;

    gateway.entrance(functions.connect, functions.authorizer);
    gateway.oneWay(functions.disconnect, ['$disconnect']);
    // `$default` too, so that a message that nobody understands gets our error and not API Gateway's.
    gateway.twoWay(functions.subscribe, ['subscribe', 'unsubscribe', 'history', '$default']);
    gateway.ready('ping', { type: 'pong' });

    new ChangeFeed(this, 'ChangeFeed', { eventLog, eventHandler, failureQueue });
    orderQueue.feed(eventHandler);
    pageQueue.feed(functions.fanOut);

    const { all: alarms } = new Alarms(this, 'Alarms', {
      eventHandler,
      failureQueue,
      functions: functions.all,
      pageQueue,
      ...(topic === undefined ? {} : { topic }),
    });
    new GatewayDashboard(this, 'Dashboard', { alarms, eventHandler, failureQueue, functions: functions.all, gateway, pageQueue });

    this.gateway = gateway;
    this.failureQueue = failureQueue;
    this.connections = connections;
    this.subscriptions = subscriptions;
  }
}
