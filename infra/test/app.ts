// The app as it is deployed: its assembly, of a root stack and the nested one that holds the state.
// Owns: nothing; each call synthesizes anew.
// Must not know: how the constructs in lib/ are cut.
// Source: bin/app.ts, lib/app.ts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foldcastApp, type FoldcastAppProps } from '../lib/app.ts';
import type { Resource } from './synthesized.ts';

export interface Assembly {
  readonly root: Template;
  /** The template with the state. */
  readonly state: Template | undefined;
  readonly isProtected: boolean;
}

export interface Template {
  readonly Parameters: Record<string, any>;
  readonly Resources: Record<string, Resource>;
  readonly Outputs: Record<string, any>;
}

export function ofType(template: Template, type: string): [string, Resource][] {
  return Object.entries(template.Resources).filter(([, resource]) => resource.Type === type);
}

/** What is deployed with these settings. */
export function deployed(settings: Record<string, unknown> = {}, more: FoldcastAppProps = {}): Assembly {
  return inFolder((outdir) => {
    foldcastApp({ toDeploy: true, outdir, context: settings, ...more }).synth();
  });
}

/** What the program itself writes, with this environment and no other tools than Node. */
export function program(environment: Record<string, string>): Assembly & { readonly said: string } {
  let said = '';
  const assembly = inFolder((outdir) => {
    said = execFileSync(process.execPath, ['--import', 'tsx', 'bin/app.ts'], {
      cwd: join(import.meta.dirname, '..'),
      // Without a PATH there is no cargo: no test builds a function.
      env: { PATH: '', ...environment, CDK_OUTDIR: outdir },
      encoding: 'utf8',
    });
  });
  return { ...assembly, said };
}

function inFolder(synthesize: (outdir: string) => void): Assembly {
  const outdir = mkdtempSync(join(tmpdir(), 'foldcast-infra-'));
  try {
    synthesize(outdir);
    const read = (name: string) => JSON.parse(readFileSync(join(outdir, name), 'utf8'));
    const nested = readdirSync(outdir).find((name) => name.endsWith('.nested.template.json'));
    return {
      root: read('Foldcast.template.json'),
      state: nested === undefined ? undefined : read(nested),
      isProtected: read('manifest.json').artifacts.Foldcast.properties.terminationProtection === true,
    };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
