// Where the functions' programs come from: built from this checkout, from a folder where they were built before, or from a
// bucket that is named at deployment.
// Owns: the parameter `ArtefactBucket`, and how cargo-lambda is called.
// Must not know: which functions there are.
// Source: cargo-lambda writes <folder>/<function>/bootstrap; cargo-lambda-cdk, RustFunction.
import { join } from 'node:path';
import { Annotations, CfnParameter, Stack } from 'aws-cdk-lib';
import { Architecture, type CfnFunction, Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import type { FunctionOptions } from 'aws-cdk-lib/aws-lambda';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { cargoLambdaVersion, RustFunction } from 'cargo-lambda-cdk';
import type { Construct } from 'constructs';

/** Makes the function whose program is the crate with this name. */
export type Artefacts = (scope: Construct, id: string, crate: string, options: FunctionOptions) => LambdaFunction;

/** Built by cargo-lambda with this manifest, without Docker, whenever the app is synthesized. */
export function fromSource(manifestPath: string): Artefacts {
  return (scope, id, crate, options) => {
    const lambda = new RustFunction(scope, id, {
      ...options,
      manifestPath,
      binaryName: crate,
      // As `cargo xtask package` builds them: cargo-lambda's own optimizations would make a panic abort.
      bundling: {
        architecture: Architecture.ARM_64,
        profile: 'function',
        cargoLambdaFlags: ['--locked', '--disable-optimizations'],
      },
    });
    // What RustFunction puts there means as little to Lambda, and nothing to whoever reads the template.
    (lambda.node.defaultChild as CfnFunction).handler = crate;
    return lambda;
  };
}

/** Whether this machine can build them from source. */
export function canBuild(): boolean {
  return cargoLambdaVersion() === true;
}

/** `<folder>/<crate>/bootstrap` of this machine, uploaded by the CDK. */
export function inFolder(folder: string): Artefacts {
  return built((crate) => Code.fromAsset(join(folder, crate)));
}

/** A template that names no file: `<crate>.zip` in a bucket. */
export function inBucket(scope: Construct): Artefacts {
  const parameter = new CfnParameter(Stack.of(scope), 'ArtefactBucket', {
    description: 'The bucket that holds the functions, each as <function>.zip.',
  });
  const bucket = Bucket.fromBucketName(scope, 'Artefacts', parameter.valueAsString);
  // That CloudFormation does not see a new file in the bucket is said in docs/deploy.md.
  Annotations.of(bucket).acknowledgeWarning('@aws-cdk/aws-lambda:codeFromBucketObjectVersionNotSpecified');
  return built((crate) => Code.fromBucket(bucket, `${crate}.zip`));
}

function built(code: (crate: string) => Code): Artefacts {
  return (scope, id, crate, options) =>
    new LambdaFunction(scope, id, {
      ...options,
      runtime: Runtime.PROVIDED_AL2023,
      architecture: Architecture.ARM_64,
      handler: crate,
      code: code(crate),
    });
}
