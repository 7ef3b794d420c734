// The event log: one item an event, and the change feed that carries each new one to the event-handler.
// Owns: the keys of `order_stream`, its index by ref, its feed, its backup, and that it is not deleted.
// Must not know: who appends or reads.
// Source: design.md, "Tables"; docs/tables.md.
import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, ProjectionType, StreamViewType, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

/** A table, as whoever reads and writes it has to know it. */
export interface TableAddress {
  readonly tableName: string;
  readonly tableArn: string;
}

/** A log, in this stack or elsewhere. */
export interface LogAddress extends TableAddress {
  /** The change feed: its new images. */
  readonly changeFeedArn: string;
}

export class EventLog extends Table {
  readonly changeFeedArn: string;

  constructor(scope: Construct, id: string) {
    super(scope, id, {
      tableName: 'order_stream',
      partitionKey: { name: 'orderId', type: AttributeType.STRING },
      sortKey: { name: 'version', type: AttributeType.NUMBER },
      billingMode: BillingMode.PAY_PER_REQUEST,
      stream: StreamViewType.NEW_IMAGE,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      // All else can be made again from the log; the log cannot.
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
    // How an append finds that this order has its `ref` already. Local, so that the read can be strongly consistent.
    this.addLocalSecondaryIndex({
      indexName: 'order_events_by_ref',
      sortKey: { name: 'ref', type: AttributeType.STRING },
      projectionType: ProjectionType.KEYS_ONLY,
    });
    if (this.tableStreamArn === undefined) throw new Error('a table with a stream has a stream ARN');
    this.changeFeedArn = this.tableStreamArn;
  }
}
