// The app and its one stack, with everything switched off that would make the template differ from one machine to the next.
// Owns: the stack's name and how it is synthesized.
// Must not know: the environment; what differs is an argument.
// Source: aws-cdk-lib, DefaultStackSynthesizer.
import { App, DefaultStackSynthesizer } from 'aws-cdk-lib';
import type { Artefacts } from './artefacts.ts';
import { FoldcastStack } from './foldcast-stack.ts';
import { settingsOf } from './settings.ts';

export interface FoldcastAppProps {
  /** Where the functions' programs come from; without it from a bucket. */
  readonly artefacts?: Artefacts;
  /** Whether it is synthesized to be deployed by the CDK, and not as the one template that stands alone. */
  readonly toDeploy?: boolean;
  /** Where the cloud assembly is written; without it, where the CDK's command line wants it. */
  readonly outdir?: string;
  /** Settings and all else that the CDK's command line or cdk.json would say. */
  readonly context?: Readonly<Record<string, unknown>>;
}

export function foldcastApp({ artefacts, toDeploy = false, outdir, context = {} }: FoldcastAppProps): App {
  const app = new App({
    analyticsReporting: false,
    context,
    ...(outdir === undefined ? {} : { outdir }),
  });
  new FoldcastStack(app, 'Foldcast', {
    description: 'Foldcast: order events and their folded projections, pushed to every subscribed browser.',
    // The rule asks for an SSM parameter that only a bootstrapped account has; the template is to stand alone.
    synthesizer: new DefaultStackSynthesizer({ generateBootstrapVersionRule: false }),
    terminationProtection: true,
    stateApart: toDeploy,
    settings: toDeploy ? settingsOf(app.node.getAllContext()) : {},
    ...(artefacts === undefined ? {} : { artefacts }),
  });
  return app;
}
