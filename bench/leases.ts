import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { alternate, makeScratch, root, runTimed } from './support/measure.ts';
import { pythonWith } from './support/python.ts';

/** The lease store, compared with a minimal Python equivalent: flock, JSON files, fsync, rename. */
export const title = 'taking and giving back four subnets, each under the lock, against the same in Python (fcntl.flock, json)';
export const goal = 'ratio <= 10 (Node has no flock: a program takes it for us)';

const TURNS = 50;
const COUNT = 4;

export async function run(): Promise<Record<string, number>> {
  const python = await pythonWith('fcntl', 'python3');
  using scratch = makeScratch();
  const uuidPath = join(scratch.dir, 'prefix/uuid');
  mkdirSync(join(scratch.dir, 'prefix'));
  writeFileSync(uuidPath, 'f'.repeat(32));
  const program = join(scratch.dir, 'leases.mjs');
  writeFileSync(
    program,
    `import { createLeaseStore } from ${JSON.stringify(join(root, 'src-main/engine/net/leases.ts'))};
const [dir, uuidPath, rounds, count] = process.argv.slice(2);
const store = createLeaseStore({ dir });
const owner = { uuidPath, uuid: 'f'.repeat(32) };
const began = performance.now();
for (let round = 0; round < Number(rounds); round++) {
  await store.acquireMany({ ...owner, subnets: Array.from({ length: Number(count) }, () => null) });
  await store.releaseAll(owner);
}
console.log(performance.now() - began);
`,
  );
  const timed = async (argv: readonly string[], folder: string): Promise<number> => {
    const words = [join(scratch.dir, folder), uuidPath, String(TURNS), String(COUNT)];
    return Number((await runTimed({ argv: [...argv, ...words], env: scratch.env })).stdout);
  };
  const { ratio, ours, reference } = await alternate(
    7,
    async () => await timed([python, join(root, 'bench/reference/leases.py')], 'theirs'),
    async () => await timed([process.execPath, '--import', join(root, 'scripts/typescript.mjs'), program], 'ours'),
  );
  const perSecond = (ms: number): number => Math.round((TURNS * COUNT) / (ms / 1000));
  return { ratio, ours_per_s: perSecond(ours), reference_per_s: perSecond(reference) };
}
