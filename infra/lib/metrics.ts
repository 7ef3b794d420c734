// What is measured: by the functions themselves, in CloudWatch's embedded metric format, and by AWS about them.
// Owns: the names of the metrics, and how each is summed up.
// Must not know: what is too much of one.
// Source: docs/runbook.md, "The dashboard"; the Lambda, SQS and API Gateway guides' pages on CloudWatch metrics.
import { Duration } from 'aws-cdk-lib';
import { type IMetric, MathExpression, Metric, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';

const NAMESPACE = 'Foldcast';

/** The metrics that a function counts or measures itself. */
export type Counted =
  | 'EventsFolded'
  | 'UpdatesPushed'
  | 'ConnectionsGone'
  | 'PushesRetried'
  | 'PushesFailed'
  | 'FanOut'
  | 'Redeliveries'
  | 'Poison'
  | 'Deferred'
  | 'Lag';

const MINUTE = Duration.minutes(1);

/** What a function says of itself; `crate` is its dimension. */
export function own(crate: string, metricName: Counted, statistic: string): Metric {
  return new Metric({
    namespace: NAMESPACE,
    metricName,
    dimensionsMap: { Function: crate },
    statistic,
    period: MINUTE,
    label: `${metricName} ${statistic}`,
  });
}

/** How long the oldest event of a batch has been in the change feed. */
export function iteratorAge(eventHandler: IFunction): Metric {
  return eventHandler.metric('IteratorAge', { statistic: Stats.MAXIMUM, period: MINUTE, label: 'iterator age' });
}

/** How many messages wait on a queue. */
export function waiting(queue: IQueue): Metric {
  return queue.metricApproximateNumberOfMessagesVisible({ statistic: Stats.MAXIMUM, period: MINUTE, label: 'messages' });
}

/** How long the oldest page has waited, in seconds. */
export function pageAge(pageQueue: IQueue): Metric {
  return pageQueue.metricApproximateAgeOfOldestMessage({ statistic: Stats.MAXIMUM, period: MINUTE, label: 'page age' });
}

/** One metric of Lambda for each function, by its crate. */
export function each(functions: ReadonlyMap<string, IFunction>, name: 'Errors' | 'Throttles', period = MINUTE): Metric[] {
  return [...functions].map(([label, lambda]) => lambda.metric(name, { statistic: Stats.SUM, period, label }));
}

/** The sum over all functions. */
export function total(functions: ReadonlyMap<string, IFunction>, name: 'Errors' | 'Throttles'): IMetric {
  const metrics = each(functions, name).map((metric, index): [string, IMetric] => [`m${index}`, metric]);
  return new MathExpression({
    expression: `SUM([${metrics.map(([id]) => id).join(', ')}])`,
    usingMetrics: Object.fromEntries(metrics),
    period: MINUTE,
    label: name.toLowerCase(),
  });
}

/** What API Gateway counts or measures of the stage. */
export function ofStage(dimensionsMap: Record<string, string>, metricName: string, statistic: string): Metric {
  return new Metric({ namespace: 'AWS/ApiGateway', metricName, dimensionsMap, statistic, period: MINUTE });
}
