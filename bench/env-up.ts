import { join } from 'node:path';
import { alternate, makeScratch, median, root, say } from './support/measure.ts';
import { prepareSampleEnvironment } from './support/sample-environment.ts';

/** From init file to running environment, compared with a minimal script that does the same. */
export const title = 'init + start + a command by ssh in 3 VMs on the command line, against a shell script with qemu-img and virsh';
export const goal = 'ratio <= 1.1';

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const environment = prepareSampleEnvironment(scratch, { count: 3, memory: 256 });
  const steps = { init: [] as number[], start: [] as number[], ssh: [] as number[], destroy: [] as number[] };

  async function ours(): Promise<number> {
    const began = performance.now();
    try {
      steps.init.push(await environment.init());
      steps.start.push(await environment.lago('start'));
      steps.ssh.push(Math.max(...(await Promise.all(environment.vms.map(async (vm) => await environment.lago('shell', vm, 'true'))))));
      return performance.now() - began;
    } finally {
      steps.destroy.push(await environment.lago('destroy', '-y', '--all-prefixes'));
    }
  }

  const reference = async (): Promise<number> => await environment.reference(join(root, 'bench/reference/env-up.sh'));
  const figures = await alternate(5, reference, ours);
  say(
    `  ours: ${Object.entries(steps)
      .map(([step, times]) => `${step} ${median(times).toFixed(0)} ms`)
      .join(', ')}`,
  );
  return {
    ratio: figures.ratio,
    ours_ms: Math.round(figures.ours),
    reference_ms: Math.round(figures.reference),
    init_ms: Math.round(median(steps.init)),
    start_ms: Math.round(median(steps.start)),
    ssh_ms: Math.round(median(steps.ssh)),
    destroy_ms: Math.round(median(steps.destroy)),
  };
}
