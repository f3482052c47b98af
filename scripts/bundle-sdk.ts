import { rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

/**
 * Bundles the SDK into `out/sdk/index.js`, which `import 'lago-desktop'` loads: ES modules for plain Node 20, split into chunks that are
 * loaded on demand. `ssh2` is a dependency of this package and is not bundled.
 */
const checkout = resolve(fileURLToPath(import.meta.url), '../..');

const outdir = join(checkout, 'out/sdk');
// Chunks are named after their content, so those of the last build would remain.
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
  // Bundled CommonJS packages `require` Node's own modules; ES modules have to create that function.
  banner: { js: "import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url);" },
  legalComments: 'none',
  logLevel: 'warning',
});
