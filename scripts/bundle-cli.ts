import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin, transform } from 'esbuild';
import { loadedWhenUsed, writeProgram } from './cli-program.ts';

/**
 * Bundles the command line for plain Node 20: the launcher `out/cli/lago.cjs` and, beside it, the parts that it loads. None is read before
 * it is used: parsing the whole program takes as long as starting Node.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');
const outfile = join(checkout, 'out/cli/lago.cjs');

/** Our own modules do nothing when loaded, so one whose exports nobody uses is left out with all that it imports. */
const withoutSideEffects: Plugin = {
  name: 'without-side-effects',
  setup(bundle) {
    bundle.onResolve({ filter: /^\.{1,2}\// }, (found) => {
      if (found.resolveDir.includes(`${sep}node_modules${sep}`) || !found.path.endsWith('.ts')) return undefined;
      return { path: resolve(found.resolveDir, found.path), sideEffects: false };
    });
  },
};

const packages: Plugin = {
  name: 'packages',
  setup(bundle) {
    // ssh2 tries its optional native parts and works without them.
    bundle.onResolve({ filter: /\.node$|^cpu-features$/ }, (found) => ({ path: found.path, external: true }));
    // What is loaded at run time is no part of the bundle: the loader below hands in the `import` of Node.
    bundle.onLoad({ filter: /plugins\/import-module\.ts$/ }, () => ({
      contents: 'export const importModule = (url) => importFromNode(url);',
      loader: 'js',
    }));
    // As one object `z`, zod is whole; as a namespace only what is used of it is left.
    bundle.onLoad({ filter: /\/src-(main|shared)\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod'", "import * as z from 'zod'"),
      loader: 'ts',
    }));
    // zod's messages in fifty languages are a third of the program, and nobody sees more than the English ones.
    bundle.onLoad({ filter: /zod\/v4\/locales\/index\.js$/ }, () => ({
      contents: "export { default as en } from './en.js';",
      loader: 'js',
    }));
  },
};

const options = {
  entryPoints: [join(checkout, 'src-main/cli/main.ts')],
  outdir: dirname(outfile),
  bundle: true,
  splitting: true,
  write: false,
  platform: 'node',
  target: 'node20.18',
  format: 'esm',
  define: { 'import.meta.dirname': '__dirname' },
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [withoutSideEffects, packages],
} satisfies BuildOptions;

const { outputFiles } = await build(options);
const parts: Record<string, string> = {};
for (const file of outputFiles) {
  const { code } = await transform(file.text, {
    format: 'cjs',
    platform: 'node',
    target: options.target,
    minifySyntax: true,
    minifyWhitespace: true,
    supported: { 'dynamic-import': false },
  });
  parts[`./${basename(file.path)}`] = loadedWhenUsed(code);
}

await writeProgram(outfile, parts);
