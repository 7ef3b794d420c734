// Where the functions' code is: in a bucket that is named at deployment, or in a folder that `cdk deploy` uploads.
// Owns: the parameter `ArtefactBucket`.
// Must not know: which functions there are.
// Source: cargo-lambda writes <folder>/<function>/bootstrap.
import { join } from 'node:path';
import { Annotations, CfnParameter, Stack } from 'aws-cdk-lib';
import { Code } from 'aws-cdk-lib/aws-lambda';
import { Bucket } from 'aws-cdk-lib/aws-s3';
import { Construct } from 'constructs';

/** The code of the function with this name. */
export type Artefacts = (name: string) => Code;

/** A template that names no file: `<name>.zip` in a bucket. */
export function inBucket(scope: Construct): Artefacts {
  const parameter = new CfnParameter(Stack.of(scope), 'ArtefactBucket', {
    description: 'The bucket that holds the functions, each as <function>.zip.',
  });
  const bucket = Bucket.fromBucketName(scope, 'Artefacts', parameter.valueAsString);
  // That CloudFormation does not see a new file in the bucket is said in the README.
  Annotations.of(bucket).acknowledgeWarning('@aws-cdk/aws-lambda:codeFromBucketObjectVersionNotSpecified');
  return (name) => Code.fromBucket(bucket, `${name}.zip`);
}

/** `<folder>/<name>/bootstrap` of this machine, uploaded by the CDK. */
export function inFolder(folder: string): Artefacts {
  return (name) => Code.fromAsset(join(folder, name));
}
