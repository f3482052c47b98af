import { join } from 'node:path';
import { alternate, makeScratch, root, say } from './support/measure.ts';
import { prepareSampleEnvironment } from './support/sample-environment.ts';

/** Starting a prepared environment, compared with a script that does the same. */
export const title = 'lago start of 1, 3, 6 and 10 VMs, until they run, against a shell script with virsh';
export const goal = 'ratio <= 1.1';

const COUNTS = [1, 3, 6, 10] as const;
/** MiB of each VM. */
const MEMORY = 128;

export async function run(): Promise<Record<string, number>> {
  const figures: (readonly [string, number])[] = [];
  for (const count of COUNTS) {
    say(` ${count} VMs:`);
    const { ratio, ours, reference } = await measure(count);
    figures.push([`ratio_${count}`, ratio], [`ours_${count}_ms`, Math.round(ours)], [`reference_${count}_ms`, Math.round(reference)]);
  }
  // Ratios first.
  return Object.fromEntries(figures.sort(([a], [b]) => Number(b.startsWith('ratio')) - Number(a.startsWith('ratio'))));
}

async function measure(count: number): ReturnType<typeof alternate> {
  using scratch = makeScratch();
  const environment = prepareSampleEnvironment(scratch, { count, memory: MEMORY });
  await environment.init();
  try {
    return await alternate(
      5,
      async () => await environment.reference(join(root, 'bench/reference/start.sh')),
      async () => {
        try {
          return await environment.lago('start');
        } finally {
          await environment.lago('stop');
        }
      },
    );
  } finally {
    await environment.lago('destroy', '--yes', '--all-prefixes');
  }
}
