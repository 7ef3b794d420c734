// The alarms: what an operator must look at. Each has a section of its name in docs/runbook.md.
// Owns: what is too much, and for how long.
// Must not know: who is told.
// Source: docs/runbook.md.
import type { Alarm } from 'aws-cdk-lib/aws-cloudwatch';
import type { IFunction } from 'aws-cdk-lib/aws-lambda';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { alarm, type TooMuch } from './alarm.ts';
import { iteratorAge, own, pageAge, total, waiting } from './metrics.ts';

export interface AlarmsProps {
  readonly eventHandler: IFunction;
  readonly failureQueue: IQueue;
  /** All functions, by their crates. */
  readonly functions: ReadonlyMap<string, IFunction>;
  readonly pageQueue: IQueue;
  /** Who is told; without it the alarms can be seen and nobody is called. */
  readonly topic?: ITopic;
}

export class Alarms extends Construct {
  readonly all: readonly Alarm[];

  constructor(scope: Construct, id: string, { eventHandler, failureQueue, functions, pageQueue, topic }: AlarmsProps) {
    super(scope, id);
    this.all = Object.entries<TooMuch>({
      // A batch is there and done within seconds. A record leaves the feed after 24 hours.
      'iterator-age': {
        metric: iteratorAge(eventHandler),
        above: 60_000,
        minutes: 3,
        means: 'The change feed is read a minute late: browsers see events late.',
      },
      'failure-queue': {
        metric: waiting(failureQueue),
        above: 0,
        minutes: 1,
        means: 'An event cannot be folded: its order stands still until it is mended.',
      },
      // One that passes is over with the next attempt.
      deferred: {
        metric: own('event-handler', 'Deferred', 'Sum'),
        above: 0,
        minutes: 3,
        means: 'Orders cannot be folded or pushed at the moment: their browsers wait, all others go on.',
      },
      'page-age': {
        metric: pageAge(pageQueue),
        above: 60,
        minutes: 3,
        means: 'Subscribers of an order with many of them wait for a minute and longer.',
      },
      // One error is tried again by whoever called; what lasts is not.
      errors: {
        metric: total(functions, 'Errors'),
        above: 0,
        minutes: 3,
        means: 'A function keeps failing.',
      },
      throttles: {
        metric: total(functions, 'Throttles'),
        above: 0,
        minutes: 3,
        means: 'The account runs as many functions at once as it may: invocations are refused.',
      },
      // What a person does not wait for.
      lag: {
        metric: own('event-handler', 'Lag', 'p99'),
        above: 5_000,
        minutes: 3,
        means: 'One update in a hundred takes longer than five seconds from its append to its push.',
      },
    }).map(([name, tooMuch]) => alarm(this, name, tooMuch, topic));
  }
}
