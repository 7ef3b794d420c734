// The CDK app, as `npx cdk` runs it.
// Owns: the environment, which nothing else in this folder reads.
// Must not know: what the stack is made of.
// Source: FOLDCAST_ARTEFACTS is the folder that `cargo lambda build --release --arm64` fills, `target/lambda`.
import { resolve } from 'node:path';
import { foldcastApp } from '../lib/app.ts';

const folder = process.env['FOLDCAST_ARTEFACTS'];
foldcastApp(folder ? { folder: resolve(folder) } : {}).synth();
