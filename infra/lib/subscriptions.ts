// The subscriptions: which connections want which order, and, by the index, which orders one connection wants.
// Owns: the keys, the index and the time-to-live of `subscriptions`.
// Must not know: who pushes to them.
// Source: design.md, "Tables".
import { RemovalPolicy, Validations } from 'aws-cdk-lib';
import { AttributeType, BillingMode, ProjectionType, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

export class Subscriptions extends Table {
  /** The index that says what one connection is subscribed to. */
  readonly byConnectionArn: string;

  constructor(scope: Construct, id: string) {
    super(scope, id, {
      tableName: 'subscriptions',
      partitionKey: { name: 'orderId', type: AttributeType.STRING },
      sortKey: { name: 'connectionId', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      // API Gateway may never send `$disconnect`.
      timeToLiveAttribute: 'expiresAt',
      // No socket outlives its gateway.
      removalPolicy: RemovalPolicy.DESTROY,
    });
    Validations.of(this).acknowledge({
      id: 'AwsSolutions::AwsSolutions-DDB3',
      reason: 'There is nothing to recover: a client connects and subscribes again.',
    });
    // Only for taking a connection's subscriptions away: a fan-out reads the table, strongly consistent.
    const indexName = 'subscriptions_by_connection';
    this.addGlobalSecondaryIndex({
      indexName,
      partitionKey: { name: 'connectionId', type: AttributeType.STRING },
      projectionType: ProjectionType.KEYS_ONLY,
    });
    this.byConnectionArn = `${this.tableArn}/index/${indexName}`;
  }
}
