import { chmodSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Plugin } from 'esbuild';

/**
 * Bundles the command line into `out/cli/lago.cjs`: one file that plain Node 20 runs. Modules that are reached only by a dynamic
 * import are evaluated when they are asked for, so that `lago list` does not pay for ssh and libvirt.
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
    // ssh2 tries its optional native parts and works without them.
    bundle.onResolve({ filter: /\.node$|^cpu-features$/ }, (found) => ({ path: found.path, external: true }));
  },
};

await build({
  entryPoints: [join(checkout, 'src-main/cli/main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20.18',
  format: 'cjs',
  banner: { js: '#!/usr/bin/env node' },
  define: { 'import.meta.dirname': '__dirname' },
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  legalComments: 'none',
  logLevel: 'warning',
  plugins: [withoutSideEffects],
});
chmodSync(outfile, 0o755);
