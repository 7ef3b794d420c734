// `npm run template` writes template.json; `npm run template -- --check` says whether it is stale.
// Owns: the one file that leaves this folder.
// Must not know: what the stack is made of, or the environment.
// Source: lib/template.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { committedTemplate, STALE, templateText } from '../lib/template.ts';

const options = process.argv.slice(2);
if (options.some((option) => option !== '--check')) {
  console.error('usage: npm run template [-- --check]');
  process.exitCode = 2;
} else if (options.length === 0) {
  writeFileSync(committedTemplate, templateText());
} else if (readFileSync(committedTemplate, 'utf8') !== templateText()) {
  console.error(STALE);
  process.exitCode = 1;
}
