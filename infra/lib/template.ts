// The template as text: what template.json is to hold.
// Owns: where that file is and how it is written.
// Must not know: what the stack is made of.
// Source: CloudFormation reads JSON in any order; the order here is the CDK's, which is that of the code.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { foldcastApp } from './app.ts';

export const committedTemplate = join(import.meta.dirname, '..', 'template.json');

export const STALE = 'infra/template.json is not what the CDK code synthesizes: run `cargo xtask template` and commit it';

/** The stack's template with its code in a bucket, as JSON with two spaces and a newline at its end. */
export function templateText(): string {
  const outdir = mkdtempSync(join(tmpdir(), 'foldcast-template-'));
  try {
    const template: unknown = foldcastApp({ outdir }).synth().getStackByName('Foldcast').template;
    return `${JSON.stringify(template, undefined, 2)}\n`;
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
