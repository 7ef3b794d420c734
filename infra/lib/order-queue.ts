// The queue of deferred orders: orders that could not be folded for a reason that may pass, and the mapping that invokes the
// event-handler with each of them, apart from the change feed. The event-handler itself puts back an order that fails again,
// with a delay, and dead-letters it after a bound.
import { Duration } from 'aws-cdk-lib';
import { EventSourceMapping, type IFunction } from 'aws-cdk-lib/aws-lambda';
import { type IQueue, Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

/** An order whose invocation died is handed over again after this: longer than the event-handler may take. */
const RETRY_AFTER = Duration.minutes(2);

/**
 * Lambda counts an invocation that it had no execution for, so a message is received for as long as the event-handler itself
 * defers an order, and longer than that only if it kills each invocation.
 */
const RECEIVED_FOR = Duration.hours(6);

/** Orders at once: few, so that deferred orders leave the event-handler's concurrency to the change feed. */
export const DEFERRED_AT_ONCE = 5;

export class OrderQueue extends Queue {
  constructor(scope: Construct, id: string, failureQueue: IQueue) {
    super(scope, id, {
      visibilityTimeout: RETRY_AFTER,
      // Longer than an order is deferred before it is dead-lettered.
      retentionPeriod: Duration.days(1),
      deadLetterQueue: { queue: failureQueue, maxReceiveCount: RECEIVED_FOR.toMinutes() / RETRY_AFTER.toMinutes() },
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }

  /** Invokes `eventHandler` with each order. One at a time, so that an order that takes long delays no other. */
  feed(eventHandler: IFunction): void {
    new EventSourceMapping(this, 'Mapping', {
      eventSourceArn: this.queueArn,
      target: eventHandler,
      batchSize: 1,
      maxConcurrency: DEFERRED_AT_ONCE,
      reportBatchItemFailures: true,
    });
  }
}
