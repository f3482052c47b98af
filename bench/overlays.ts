import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, bundle, engineFile, makeScratch, runTimed } from './support/measure.ts';

/** Creating the overlays of template disks, compared with the same calls by hand. */
export const title = '20 overlays on a template, four at a time, against 20 "qemu-img create" one after the other';
export const goal = 'ratio <= 1.1';

const COUNT = 20;
const ROUNDS = 7;

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const base = join(scratch.dir, 'base.qcow2');
  await runTimed({ argv: ['qemu-img', 'create', '-q', '-f', 'qcow2', base, '10G'] });
  const folder = join(scratch.dir, 'disks');
  const empty = (): void => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder);
  };
  const complete = (): void => {
    const made = readdirSync(folder).length;
    if (made !== COUNT) throw new Error(`${made} of ${COUNT} overlays were made.`);
  };
  const argv = await bundle(
    scratch,
    `import { createOverlay } from ${engineFile('disk/qemu-img.ts')};
const [folder, backing] = process.argv.slice(2);
const began = performance.now();
let next = 0;
await Promise.all([1, 2, 3, 4].map(async () => {
  while (next < ${COUNT}) await createOverlay({ path: \`\${folder}/\${next++}.qcow2\`, backing, backingFormat: 'qcow2' });
}));
console.log(performance.now() - began);
`,
  );
  const figures = await alternate(
    ROUNDS,
    async () => {
      empty();
      const each = `qemu-img create -q -f qcow2 -F qcow2 -b "$1" "$2/$n.qcow2"`;
      const { ms } = await runTimed({ argv: ['bash', '-ec', `for n in $(seq ${COUNT}); do ${each}; done`, 'bash', base, folder] });
      complete();
      return ms;
    },
    async () => {
      empty();
      const { stdout } = await runTimed({ argv: [...argv, folder, base] });
      complete();
      return Number(stdout);
    },
  );
  return { ratio: figures.ratio, ours_ms: Math.round(figures.ours), reference_ms: Math.round(figures.reference) };
}
