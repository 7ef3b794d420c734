// The failure queue: where the event-handler says what it cannot fold, and the change feed which records it gave up on.
// Owns: how long that is kept and that it travels and rests encrypted.
// Must not know: what failed. A message holds no event, only the key by which to find it and a reason.
// Source: docs/guarantee.md; facts/api-gateway-websocket.md, section 8.4.
import { Duration, Validations } from 'aws-cdk-lib';
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
    Validations.of(this).acknowledge({
      id: 'AwsSolutions::AwsSolutions-SQS3',
      reason: 'It is where failures end: what is on it waits for an operator and is not received by a program.',
    });
  }
}
