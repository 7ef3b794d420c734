// The change feed: the mapping that invokes the event-handler with each batch of new events.
// Owns: the batch, the retries, and what happens to a batch that keeps failing.
// Must not know: what an event is.
// Source: facts/api-gateway-websocket.md, section 8.
import {
  EventSourceMapping,
  FilterCriteria,
  FilterRule,
  type IFunction,
  StartingPosition,
} from 'aws-cdk-lib/aws-lambda';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { LogAddress } from './event-log.ts';

export interface ChangeFeedProps {
  readonly eventLog: LogAddress;
  readonly eventHandler: IFunction;
  readonly failureQueue: IQueue;
}

export class ChangeFeed extends EventSourceMapping {
  constructor(scope: Construct, id: string, { eventLog, eventHandler, failureQueue }: ChangeFeedProps) {
    super(scope, id, {
      eventSourceArn: eventLog.changeFeedArn,
      target: eventHandler,
      // LATEST may miss the events that are appended while the mapping is being made.
      startingPosition: StartingPosition.TRIM_HORIZON,
      // At most 100 events of at most 400 KB, though an invocation takes no more than 6 MB of them. Larger batches would save
      // invocations when much is appended at once, and repeat more pushes when one order of them fails.
      batchSize: 100,
      // No batching window: an invocation begins with the first event, and those that come meanwhile are the next batch.
      // Above 1 the order is kept an item, and an item is one event: the events of an order would overtake each other.
      parallelizationFactor: 1,
      // No limit on retries and age: the event-handler itself sends what cannot be folded to the failure queue, so what it
      // reports is an outage, and an outage must lose nothing. A record leaves the feed when it is a day old.
      bisectBatchOnError: true,
      reportBatchItemFailures: true,
      // The CDK's own destination grants two more actions than the mapping needs; the right is in functions.ts.
      onFailure: { bind: () => ({ destination: failureQueue.queueArn }) },
      // An event is only ever added.
      filters: [FilterCriteria.filter({ eventName: FilterRule.isEqual('INSERT') })],
    });
  }
}
