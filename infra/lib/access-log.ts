// The access log of the gateway: who came when, over which route and with which end.
// Owns: what stands in a line, and API Gateway's right to write it.
// Must not know: the routes.
// Source: developer guide, "Configure logging for a WebSocket API" and "$context variables". A line has nothing of a
// query string, a header or a body: tokens and events travel there.
import { RemovalPolicy, Validations } from 'aws-cdk-lib';
import { AccessLogFormat, CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { type IAccessLogSettings, LogGroupLogDestination } from 'aws-cdk-lib/aws-apigatewayv2';
import { PolicyDocument, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import { allow } from './rust-function.ts';

const LINE = {
  requestId: '$context.requestId',
  requestTime: '$context.requestTime',
  eventType: '$context.eventType',
  routeKey: '$context.routeKey',
  status: '$context.status',
  connectionId: '$context.connectionId',
  sourceIp: '$context.identity.sourceIp',
  integrationLatency: '$context.integrationLatency',
  errorResponseType: '$context.error.responseType',
};

export class AccessLog extends Construct {
  readonly settings: IAccessLogSettings;
  /** API Gateway writes no access log in an account without it. */
  readonly account: CfnAccount;

  constructor(scope: Construct, id: string, retention: RetentionDays) {
    super(scope, id);
    const logGroup = new LogGroup(this, 'Log', {
      retention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // One role an account and region, for all its APIs: so it writes what they all log, and it stays when this stack goes.
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
      inlinePolicies: {
        'access-log': new PolicyDocument({
          statements: [
            allow(
              '*',
              'logs:CreateLogGroup',
              'logs:CreateLogStream',
              'logs:DescribeLogGroups',
              'logs:DescribeLogStreams',
              'logs:FilterLogEvents',
              'logs:GetLogEvents',
              'logs:PutLogEvents',
            ),
          ],
        }),
      },
    });
    Validations.of(role).acknowledge({
      id: 'AwsSolutions::AwsSolutions-IAM5[Resource::*]',
      reason: 'An account has one such role for the logs of all its APIs, which this stack cannot name.',
    });
    role.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.account = new CfnAccount(this, 'Account', { cloudWatchRoleArn: role.roleArn });
    this.account.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.settings = {
      destination: new LogGroupLogDestination(logGroup),
      format: AccessLogFormat.custom(JSON.stringify(LINE)),
    };
  }
}
