// The feed of a FaunaDB: a collection there, brought into the log each minute. Made if its address is given when it is deployed.
// Owns: the parameters and the condition, the feed's table, function and schedule, and the alarms about it.
// Must not know: the gateway; what is appended comes to browsers as every event does.
// Source: docs/fauna.md.
import { Aspects, CfnCondition, CfnParameter, CfnResource, CfnRule, Duration, Fn, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import { AttributeType, BillingMode, Table } from 'aws-cdk-lib/aws-dynamodb';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets';
import { FilterPattern, MetricFilter, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { alarm, type TooMuch } from './alarm.ts';
import type { Artefacts } from './artefacts.ts';
import type { LogAddress } from './event-log.ts';
import { allow, RustFunction } from './rust-function.ts';

/** An ARN in its shape, of a secret that there is not: where there is no feed, nobody asks for it. */
const NO_SECRET = 'arn:aws:secretsmanager:::secret:none';

export interface FaunaFeedProps {
  readonly artefacts: Artefacts;
  readonly eventLog: LogAddress;
  readonly failureQueue: IQueue;
  /** How long its log is kept. Default: two weeks. */
  readonly logRetention?: RetentionDays;
  /** Who is told of its alarms. Default: nobody. */
  readonly alarmTopic?: ITopic;
}

export class FaunaFeed extends Construct {
  constructor(scope: Construct, id: string, props: FaunaFeedProps) {
    super(scope, id);
    const { artefacts, eventLog, failureQueue, alarmTopic } = props;
    const parameter = (name: string, description: string, allowedPattern: string, value = ''): string =>
      new CfnParameter(Stack.of(this), name, { description, allowedPattern, default: value }).valueAsString;
    const endpoint = parameter(
      'FaunaEndpoint',
      'The address of a FaunaDB whose collection is brought into the log; without one there is no feed.',
      '(https?://.+)?',
    );
    const secretArn = parameter(
      'FaunaKeyArn',
      'The ARN of the secret of Secrets Manager that is its key\'s secret.',
      'arn:.+',
      NO_SECRET,
    );
    const collection = parameter('FaunaCollection', 'The collection of events.', '[A-Za-z0-9_]+', 'order_stream');
    const isOn = new CfnCondition(Stack.of(this), 'FaunaFeedIsOn', {
      expression: Fn.conditionNot(Fn.conditionEquals(endpoint, '')),
    });
    new CfnRule(Stack.of(this), 'FaunaKeyIsNamed', {
      ruleCondition: Fn.conditionNot(Fn.conditionEquals(endpoint, '')),
      assertions: [
        {
          assert: Fn.conditionNot(Fn.conditionEquals(secretArn, NO_SECRET)),
          assertDescription: 'FaunaEndpoint wants FaunaKeyArn: the secret of a key of the database.',
        },
      ],
    });
    Aspects.of(this).add({
      visit: (node) => {
        if (node instanceof CfnResource) node.cfnOptions.condition = isOn;
      },
    });

    const table = new Table(this, 'Table', {
      tableName: 'fauna_feed',
      partitionKey: { name: 'id', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      // It can be made again: a feed without it reads the collection anew and finds each event in the log.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    const { lambda } = new RustFunction(this, 'FaunaFeed', {
      crate: 'fauna-feed',
      artefacts,
      // It works for 8 seconds less, so until the next minute's invocation is there and waits for its lease.
      timeout: Duration.seconds(70),
      // A page of FaunaDB is held whole, and one may have 16 MB.
      memorySize: 512,
      logRetention: props.logRetention ?? RetentionDays.TWO_WEEKS,
      environment: {
        FAILURE_QUEUE_URL: failureQueue.queueUrl,
        FAUNA_COLLECTION: collection,
        FAUNA_ENDPOINT: endpoint,
        FAUNA_FEED_TABLE: table.tableName,
        FAUNA_SECRET_ARN: secretArn,
        ORDER_STREAM_TABLE: eventLog.tableName,
      },
      permissions: [
        allow(table.tableArn, 'dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem'),
        allow(eventLog.tableArn, 'dynamodb:PutItem', 'dynamodb:Query'),
        allow(`${eventLog.tableArn}/index/order_events_by_ref`, 'dynamodb:Query'),
        allow(failureQueue.queueArn, 'sqs:SendMessage'),
        allow(secretArn, 'secretsmanager:GetSecretValue'),
      ],
    });
    // The next minute comes by itself: a failed invocation is not tried again, and none waits.
    lambda.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(1) });
    new Rule(this, 'EachMinute', {
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaFunction(lambda, { retryAttempts: 0 })],
    });

    const counted = (name: string, field: string): IMetric =>
      new MetricFilter(this, name, {
        logGroup: lambda.logGroup,
        filterPattern: FilterPattern.stringValue('$.message', '=', 'done'),
        metricNamespace: 'Foldcast',
        metricName: `Fauna${name}`,
        metricValue: `$.${field}`,
      }).metric({ statistic: Stats.SUM, period: Duration.minutes(1) });
    const said = (name: string, ...begins: string[]): IMetric =>
      new MetricFilter(this, name, {
        logGroup: lambda.logGroup,
        filterPattern: FilterPattern.any(...begins.map((begin) => FilterPattern.stringValue('$.message', '=', `${begin}: *`))),
        metricNamespace: 'Foldcast',
        metricName: `Fauna${name}`,
        metricValue: '1',
      }).metric({ statistic: Stats.SUM, period: Duration.minutes(1) });
    counted('Appended', 'appended');
    const [updated, removed, late] = [counted('Updated', 'updated'), counted('Removed', 'removed'), counted('Late', 'late')];

    for (const [name, tooMuch] of Object.entries<Omit<TooMuch, 'above'>>({
      'fauna-errors': {
        metric: lambda.metricErrors({ statistic: Stats.SUM, period: Duration.minutes(1) }),
        minutes: 3,
        means: 'FaunaDB is not read: its events come late until it is.',
      },
      'fauna-differs': {
        metric: new MathExpression({
          expression: 'updated + removed + late',
          usingMetrics: { updated, removed, late },
          period: Duration.minutes(1),
        }),
        minutes: 1,
        means: 'Documents were updated, deleted or committed late: the log and FaunaDB differ there.',
      },
      'fauna-changed': {
        metric: said('Changed', 'changed', 'missing', 'ttl', 'removals'),
        minutes: 1,
        means: 'The collection is not what it was.',
      },
    })) {
      alarm(this, name, { ...tooMuch, above: 0 }, alarmTopic);
    }
  }
}
