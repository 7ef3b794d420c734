// Bundles as a team makes them: with Vite.
//
// Owns: calling Vite.
// Must not know: what is bundled.
// Source: Vite's JavaScript API.

import { build } from 'vite';

const CLIENT = new URL('..', import.meta.url).pathname;

/** The minified code of a module of this package, as it is in a page: Vite keeps the white space of a library that is an ES module. */
export async function bundle(entry, external = []) {
  const { output } = await run({
    build: { lib: { entry: `${CLIENT}${entry}`, formats: ['iife'], name: 'bundled' }, minify: true, rollupOptions: { external } },
  });
  return output[0].code;
}

/** A folder of a site, built into another one. */
export function buildSite(root, outDir) {
  return run({ root, base: './', build: { outDir, emptyOutDir: true, write: true } });
}

async function run({ build: options, ...rest }) {
  const resolve = { alias: { '@foldcast/client': `${CLIENT}src/index.js` } };
  const define = { 'process.env.NODE_ENV': '"development"' };
  const built = await build({ root: CLIENT, configFile: false, logLevel: 'silent', resolve, define, ...rest, build: { write: false, ...options } });
  return Array.isArray(built) ? built[0] : built;
}
