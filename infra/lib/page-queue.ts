// The queue of pages: what is left to do for an order with more subscribers than one invocation pushes to, and the mapping
// that invokes the fan-out with each page.
// Owns: how long a page is tried, how many at once, and where one goes that no try gets done.
// Must not know: what a page says.
// Source: docs/decisions/0009-many-subscribers-are-reached-in-pages.md; Lambda developer guide, "Using Lambda with Amazon SQS".
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** The time of the fan-out. */
export const PAGE_TIMEOUT = Duration.seconds(20);

/** A page that failed comes again after this, from when it was taken: longer than the fan-out may take. */
const AGAIN_AFTER = Duration.minutes(1);

/** The longest life of a connection. All that a page is for are gone then, and those who came back have read the log. */
const TRIED_FOR = Duration.hours(2);

/** Pages at once: each pushes 64 times at once, so that ten of them use up what an account's `@connections` take. */
const PAGES_AT_ONCE = 10;

export class PageQueue extends Queue {
  constructor(scope: Construct, id: string, failureQueue: IQueue) {
    super(scope, id, {
      visibilityTimeout: AGAIN_AFTER,
      retentionPeriod: TRIED_FOR.plus(Duration.hours(1)),
      deadLetterQueue: { queue: failureQueue, maxReceiveCount: TRIED_FOR.toMinutes() / AGAIN_AFTER.toMinutes() },
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }

  /** Invokes `fanOut` with each page. One at a time, so that no page waits for another's pushes. */
  feed(fanOut: IFunction): void {
    new EventSourceMapping(this, 'Mapping', {
      eventSourceArn: this.queueArn,
      target: fanOut,
      batchSize: 1,
      maxConcurrency: PAGES_AT_ONCE,
      reportBatchItemFailures: true,
    });
  }
}
