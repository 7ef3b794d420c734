// The CDK app, as `npx cdk` runs it.
// Owns: the environment, which nothing else in this folder reads, and how a machine comes by the functions' programs.
// Must not know: what the stack is made of.
// Source: docs/deploy.md. FOLDCAST_ARTEFACTS is a folder with <function>/bootstrap for arm64, made before.
import { join, resolve } from 'node:path';
import { Annotations } from 'aws-cdk-lib';
import { foldcastApp } from '../lib/app.ts';
import { canBuild, fromSource, inFolder } from '../lib/artefacts.ts';

const folder = process.env['FOLDCAST_ARTEFACTS'];
const manifest = join(import.meta.dirname, '..', '..', 'Cargo.toml');

if (folder) {
  foldcastApp({ toDeploy: true, artefacts: inFolder(resolve(folder)) }).synth();
} else if (canBuild()) {
  foldcastApp({ toDeploy: true, artefacts: fromSource(manifest) }).synth();
} else {
  const app = foldcastApp({ toDeploy: true });
  Annotations.of(app.node.findChild('Foldcast')).addWarningV2(
    'foldcast:no-cargo-lambda',
    'cargo-lambda is not on the PATH, so no function is built: this template takes them from the bucket ArtefactBucket. ' +
      'To build them here: pip install cargo-lambda==1.9.2 ziglang==0.17.1 && rustup target add aarch64-unknown-linux-gnu',
  );
  app.synth();
}
