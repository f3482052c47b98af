import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Bundles the SDK into `out/sdk/index.js`, what `import 'lago-desktop'` loads: ES modules that plain Node 20 runs, in parts that are read
 * when they are needed. `ssh2` is a dependency of this package and stays outside.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');

const outdir = join(checkout, 'out/sdk');
// Parts have names of their content: those of the last build would stay.
rmSync(outdir, { recursive: true, force: true });
await build({
  entryPoints: [join(checkout, 'src-main/sdk/index.ts')],
  outdir,
  bundle: true,
  splitting: true,
  platform: 'node',
  target: 'node20.18',
  format: 'esm',
  external: ['ssh2'],
  // Packages that are CommonJS inside ask for Node's own modules by `require`, which ES modules have to make for themselves.
  banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" },
  legalComments: 'none',
  logLevel: 'warning',
});
