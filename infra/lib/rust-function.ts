// One Lambda in Rust: its program, its log, its traces, and a role that may do what is listed and nothing else.
// Owns: what all functions have in common.
// Must not know: what any one of them is for.
// Source: docs.aws.amazon.com/lambda/latest/dg/lambda-rust.html, services-xray.html, configuration-concurrency.html
import { type Duration, RemovalPolicy, Validations } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { type Function as LambdaFunction, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';
import type { Artefacts } from './artefacts.ts';

export interface RustFunctionProps {
  /** The crate in `functions/`. Lambda ignores it for this runtime; the local stack takes it for the program to run. */
  readonly crate: string;
  readonly artefacts: Artefacts;
  readonly timeout: Duration;
  readonly memorySize: number;
  readonly environment: Readonly<Record<string, string>>;
  readonly logRetention: RetentionDays;
  /** Executions that are kept for the function, and that it has at most. Default: what the account has. */
  readonly reservedConcurrency?: number | undefined;
  /** All that it may do besides writing its log and its traces. */
  readonly permissions: readonly PolicyStatement[];
}

/** The right to these actions on this one resource. */
export function allow(resource: string, ...actions: string[]): PolicyStatement {
  return new PolicyStatement({ actions, resources: [resource] });
}

export class RustFunction extends Construct {
  readonly lambda: LambdaFunction;

  constructor(scope: Construct, id: string, props: RustFunctionProps) {
    super(scope, id);
    const logGroup = new LogGroup(this, 'Log', {
      retention: props.logRetention,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // Without a role of our own the CDK attaches AWSLambdaBasicExecutionRole, which may write every log of the account.
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        [props.crate]: new PolicyDocument({
          statements: [
            allow(logGroup.logGroupArn, 'logs:CreateLogStream', 'logs:PutLogEvents'),
            allow('*', 'xray:PutTelemetryRecords', 'xray:PutTraceSegments'),
            ...props.permissions,
          ],
        }),
      },
    });
    Validations.of(role).acknowledge({
      id: 'AwsSolutions::AwsSolutions-IAM5[Resource::*]',
      reason: 'X-Ray has no resources: these two actions are for all traces or for none.',
    });
    // Reserved concurrency is a setting and not a default: it takes its number from what the account has for all functions
    // (1,000, and in a young account 10, where nothing can be reserved and the deployment would fail).
    this.lambda = props.artefacts(this, 'Function', props.crate, {
      timeout: props.timeout,
      memorySize: props.memorySize,
      environment: props.environment,
      ...(props.reservedConcurrency === undefined ? {} : { reservedConcurrentExecutions: props.reservedConcurrency }),
      tracing: Tracing.ACTIVE,
      logGroup,
      // The CDK would write the rights for traces into a second policy.
      role: role.withoutPolicyUpdates(),
    });
  }
}
