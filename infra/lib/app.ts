// The app and its one stack, with everything switched off that would make the template differ from one machine to the next.
// Owns: the stack's name and how it is synthesized.
// Must not know: the environment; what differs is an argument.
// Source: aws-cdk-lib, DefaultStackSynthesizer.
import { App, DefaultStackSynthesizer } from 'aws-cdk-lib';
import { FoldcastStack } from './foldcast-stack.ts';

export interface FoldcastAppProps {
  /** An absolute folder with a sub-folder for each function; without it the functions' code comes from a bucket. */
  readonly folder?: string;
  /** Where the cloud assembly is written; without it, where the CDK's command line wants it. */
  readonly outdir?: string;
}

export function foldcastApp({ folder, outdir }: FoldcastAppProps): App {
  const app = new App({
    analyticsReporting: false,
    ...(outdir === undefined ? {} : { outdir }),
  });
  new FoldcastStack(app, 'Foldcast', {
    description: 'Foldcast: order events and their folded projections, pushed to every subscribed browser.',
    // The rule asks for an SSM parameter that only a bootstrapped account has; the template is to stand alone.
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
    ...(folder === undefined ? {} : { folder }),
  });
  return app;
}
