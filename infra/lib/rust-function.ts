// One Lambda in Rust: its program, its log, and a role that may do what is listed and nothing else.
// Owns: what all functions have in common.
// Must not know: what any one of them is for.
// Source: docs.aws.amazon.com/lambda/latest/dg/lambda-rust.html
import { Duration, RemovalPolicy } from 'aws-cdk-lib';
import { PolicyDocument, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

export interface RustFunctionProps {
  /** The crate in `functions/`. Lambda ignores it for this runtime; the local stack takes it for the program to run. */
  readonly handler: string;
  readonly code: Code;
  readonly timeout: Duration;
  readonly environment: Readonly<Record<string, string>>;
  /** All that it may do besides writing its log. */
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
      retention: RetentionDays.TWO_WEEKS,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    // Without a role of our own the CDK attaches AWSLambdaBasicExecutionRole, which may write every log of the account.
    const role = new Role(this, 'Role', {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      inlinePolicies: {
        [props.handler]: new PolicyDocument({
          statements: [
            allow(logGroup.logGroupArn, 'logs:CreateLogStream', 'logs:PutLogEvents'),
            ...props.permissions,
          ],
        }),
      },
    });
    this.lambda = new LambdaFunction(this, 'Function', {
      runtime: Runtime.PROVIDED_AL2023,
      architecture: Architecture.ARM_64,
      handler: props.handler,
      code: props.code,
      timeout: props.timeout,
      memorySize: 256,
      environment: props.environment,
      logGroup,
      role,
    });
  }
}
