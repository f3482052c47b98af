import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeScratch, median, runTimed, type Scratch, say } from './support/measure.ts';
import { prepareSampleEnvironment, type SampleEnvironment } from './support/sample-environment.ts';

/** Taking and reverting a snapshot of running VMs, and how long they stand still, compared with saving and restoring one VM with virsh. */
export const title = 'lago snapshot and lago revert of 3 running VMs, against the slowest of 3 single virsh save and restore';
export const goal = 'still_ms <= 60, skew_ms <= 15, memory_ratio <= 1.3, take and revert <= 1.3';

const ROUNDS = 5;

interface Measured {
  readonly stillMs: Readonly<Record<string, number>>;
  readonly skewMs: number;
}

interface Times {
  readonly still: number[];
  readonly skew: number[];
  readonly take: number[];
  readonly revert: number[];
  readonly save: number[];
  readonly restore: number[];
}

export async function run(): Promise<Record<string, number>> {
  const small = await measure(256, true);
  const large = await measure(1024, false);
  const ratios = (ours: readonly number[], reference: readonly number[]): number =>
    median(ours.map((ms, round) => ms / (reference[round] ?? Number.NaN)));
  return {
    still_ms: median(small.still),
    skew_ms: median(small.skew),
    memory_ratio: median(large.still) / median(small.still),
    take: ratios(small.take, small.save),
    revert: ratios(small.revert, small.restore),
    still_1g_ms: median(large.still),
    take_ms: Math.round(median(small.take)),
    save_ms: Math.round(median(small.save)),
    revert_ms: Math.round(median(small.revert)),
    restore_ms: Math.round(median(small.restore)),
  };
}

async function measure(memory: number, withReference: boolean): Promise<Times> {
  using scratch = makeScratch();
  const environment = prepareSampleEnvironment(scratch, { count: 3, memory });
  const times: Times = { still: [], skew: [], take: [], revert: [], save: [], restore: [] };
  await environment.init();
  try {
    await environment.lago('start');
    for (const vm of environment.vms) await environment.lago('shell', vm, 'true');
    for (let round = 0; round <= ROUNDS; round++) {
      const one = await oneRound(scratch, environment, `s${round}`, withReference);
      // The first one is not counted: files are not in the cache yet.
      if (round === 0) continue;
      for (const key of Object.keys(times) as (keyof Times)[]) times[key].push(one[key]);
      say(
        `  ${memory} MiB, round ${round}: ${Object.entries(one)
          .map(([key, ms]) => `${key} ${ms.toFixed(0)} ms`)
          .join(', ')}`,
      );
    }
  } finally {
    await environment.lago('destroy', '--yes', '--all-prefixes');
  }
  return times;
}

async function oneRound(
  scratch: Scratch,
  environment: SampleEnvironment,
  name: string,
  withReference: boolean,
): Promise<Record<keyof Times, number>> {
  const [save, restore] = withReference ? await saveEach(scratch, environment) : [0, 0];
  const take = await environment.lago('snapshot', name);
  const { stillMs, skewMs } = measuredOf(environment, name);
  const revert = await environment.lago('revert', name);
  await environment.lago('snapshot', '--delete', name);
  return { still: Math.max(...Object.values(stillMs)), skew: skewMs, take, revert, save, restore };
}

/** Saves and restores each VM by itself while the others run; the slowest of each. */
async function saveEach(scratch: Scratch, environment: SampleEnvironment): Promise<readonly [number, number]> {
  const uuid = readFileSync(join(environment.prefix, 'uuid'), 'utf8').trim();
  const virsh = async (...args: readonly string[]): Promise<number> =>
    (await runTimed({ argv: ['virsh', '-q', '-c', environment.libvirt(), ...args] })).ms;
  const saved: number[] = [];
  const restored: number[] = [];
  for (const vm of environment.vms) {
    const file = join(scratch.dir, `${vm}.saved`);
    saved.push(await virsh('save', `${uuid.slice(0, 8)}-${vm}`, file));
    if (!existsSync(file)) throw new Error(`virsh did not save ${vm}.`);
    restored.push(await virsh('restore', file));
  }
  return [Math.max(...saved), Math.max(...restored)];
}

function measuredOf(environment: SampleEnvironment, name: string): Measured {
  const record = JSON.parse(readFileSync(join(environment.prefix, 'lago-desktop.json'), 'utf8')) as {
    readonly snapshots: readonly { readonly name: string; readonly measured: Measured }[];
  };
  const found = record.snapshots.find((snapshot) => snapshot.name === name);
  if (found === undefined) throw new Error(`There is no snapshot ${name}.`);
  return found.measured;
}
