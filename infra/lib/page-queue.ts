// The page queue: subscribers of an order who wait for an update, in pages, and the mapping that invokes `fan-out` with
// each page. `fan-out` itself puts back who could not be reached, with a delay and a count of the rounds.
// Source: docs/decisions/0009-many-subscribers-are-reached-in-pages.md; Lambda developer guide, "Using Lambda with Amazon SQS".
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** The timeout of `fan-out`. */
export const PAGE_TIMEOUT = Duration.seconds(20);

/** A page whose invocation failed is handed over again after this: longer than `fan-out` may take. */
const RETRY_AFTER = Duration.minutes(1);

/** The longest life of a connection: after this each connection of a page has ended, and whoever came back has read the log. */
const RETRIED_FOR = Duration.hours(2);

/** Pages at once. Each process of `fan-out` pushes at its share of the account's quota (`PUSH_PROCESSES_MAX`). */
export const PAGES_AT_ONCE = 10;

export class PageQueue extends Queue {
  constructor(scope: Construct, id: string, failureQueue: IQueue) {
    super(scope, id, {
      visibilityTimeout: RETRY_AFTER,
      retentionPeriod: RETRIED_FOR.plus(Duration.hours(1)),
      deadLetterQueue: { queue: failureQueue, maxReceiveCount: RETRIED_FOR.toMinutes() / RETRY_AFTER.toMinutes() },
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
