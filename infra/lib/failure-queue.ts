// The failure queue: where the change feed says which records it gave up on.
// Owns: how long that is kept and that it travels and rests encrypted.
// Must not know: what failed. A message holds no record, only the numbers by which to find it.
// Source: facts/api-gateway-websocket.md, section 8.4.
import { Duration } from 'aws-cdk-lib';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';

export class FailureQueue extends Queue {
  constructor(scope: Construct, id: string) {
    super(scope, id, {
      // The longest that SQS keeps a message: the log keeps the event for ever, this is the only note of it.
      retentionPeriod: Duration.days(14),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
    });
  }
}
