// The connections: who is behind each open socket.
// Owns: the key and the time-to-live of `connections`.
// Must not know: what a connection is subscribed to.
// Source: design.md, "Tables".
import { RemovalPolicy, Validations } from 'aws-cdk-lib';
import { AttributeType, BillingMode, Table } from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';

export class Connections extends Table {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      tableName: 'connections',
      partitionKey: { name: 'connectionId', type: AttributeType.STRING },
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
  }
}
