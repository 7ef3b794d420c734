// The projections: for each order the fold of its log up to a version.
// Owns: the key of `order_projections`, its backup, and that it is not deleted.
// Must not know: how a projection is folded, who reads it.
// Source: design.md, "Tables".
import { RemovalPolicy } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

export class Projections extends Table {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      tableName: 'order_projections',
      partitionKey: { name: 'orderId', type: AttributeType.STRING },
      billingMode: BillingMode.PAY_PER_REQUEST,
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
      // It can be folded again from the log, in hours; until then every order would look empty.
      deletionProtection: true,
      removalPolicy: RemovalPolicy.RETAIN,
    });
  }
}
