import { readFileSync } from 'node:fs';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type BuildOptions, build, type Plugin, transform } from 'esbuild';
import { loadedWhenUsed, writeProgram } from './cli-program.ts';

/**
 * Bundles the command line for plain Node 20: the launcher `out/cli/lago.cjs` and the parts that it loads. A part is read when it is first
 * used, because parsing the whole program takes as long as starting Node.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');
const outfile = join(checkout, 'out/cli/lago.cjs');

/** Marks our own modules as free of side effects, so that those with unused exports are dropped with all their imports. */
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
    // ssh2 works without its optional native modules.
    bundle.onResolve({ filter: /\.node$|^cpu-features$/ }, (found) => ({ path: found.path, external: true }));
    // Plugins are not bundled: the loader below passes in Node's own `import`.
    bundle.onLoad({ filter: /plugins\/import-module\.ts$/ }, () => ({
      contents: 'export const importModule = (url) => importFromNode(url);',
      loader: 'js',
    }));
    // Imported as the object `z`, zod is kept whole; as a namespace it is reduced to what is used.
    bundle.onLoad({ filter: /\/src-(main|shared)\/.*\.ts$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replace("import { z } from 'zod'", "import * as z from 'zod'"),
      loader: 'ts',
    }));
    // zod's messages in fifty languages are a third of the program, but only the English ones are used.
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
