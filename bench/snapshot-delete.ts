import { join } from 'node:path';
import { alternate, makeScratch, median, runTimed, say } from './support/measure.ts';
import { prepareSampleEnvironment, type SampleEnvironment } from './support/sample-environment.ts';

/** Deleting a snapshot of running VMs, which merges what they have written since, compared with QEMU merging the same amount alone. */
export const title = 'lago snapshot --delete of 2 running VMs that wrote 64 MiB each, against qemu-img commit of such a layer';
export const goal = 'ratio <= 2';

const MIB = 64;

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const environment = prepareSampleEnvironment(scratch, { count: 2, memory: 256 });
  const empty: number[] = [];
  await environment.init();
  try {
    await environment.lago('start');
    await Promise.all(environment.vms.map(async (vm) => await environment.lago('shell', vm, 'true')));
    let round = 0;
    const figures = await alternate(
      3,
      async () => await commit(scratch.dir),
      async () => {
        const name = `s${round++}`;
        await environment.lago('snapshot', name);
        await write(environment);
        const full = await environment.lago('snapshot', '--delete', name);
        await environment.lago('snapshot', 'empty');
        empty.push(await environment.lago('snapshot', '--delete', 'empty'));
        return full;
      },
    );
    say(`  with nothing written: ${median(empty).toFixed(0)} ms`);
    return {
      ratio: figures.ratio,
      ours_ms: Math.round(figures.ours),
      reference_ms: Math.round(figures.reference),
      empty_ms: Math.round(median(empty)),
    };
  } finally {
    await environment.lago('destroy', '--yes', '--all-prefixes');
  }
}

async function write(environment: SampleEnvironment): Promise<void> {
  const command = `dd if=/dev/urandom of=/root/written bs=1M count=${MIB} 2>/dev/null; sync`;
  await Promise.all(environment.vms.map(async (vm) => await environment.lago('shell', vm, command)));
}

/** Two layers of that size are merged into the files below them, one after the other. */
async function commit(dir: string): Promise<number> {
  const [base, layer] = [join(dir, 'base.qcow2'), join(dir, 'layer.qcow2')];
  let total = 0;
  for (const _ of [1, 2]) {
    await runTimed({ argv: ['rm', '-f', base, layer] });
    await runTimed({ argv: ['qemu-img', 'create', '-q', '-f', 'qcow2', base, '1G'] });
    await runTimed({ argv: ['qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', base, layer] });
    await runTimed({ argv: ['qemu-io', '-f', 'qcow2', '-c', `write -P 7 0 ${MIB}M`, layer] });
    total += (await runTimed({ argv: ['qemu-img', 'commit', '-q', '-f', 'qcow2', layer] })).ms;
  }
  return total;
}
