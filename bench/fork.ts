import { alternate, makeScratch, median, say } from './support/measure.ts';
import { prepareSampleEnvironment } from './support/sample-environment.ts';

/** A second running environment by a fork, compared with making and booting one. */
export const title = 'lago fork of 2 running VMs, until they answer, against lago init + start + a command by ssh of the same';
export const goal = 'ratio <= 0.3, fork_ms <= 1500';

export async function run(): Promise<Record<string, number>> {
  using scratch = makeScratch();
  const environment = prepareSampleEnvironment(scratch, { count: 2, memory: 256 });
  const fork: number[] = [];
  const answers = async (name: string): Promise<void> => {
    await Promise.all(environment.vms.map(async (vm) => await environment.lago('--prefix-name', name, 'shell', vm, 'true')));
  };
  const timed = async (name: string, work: () => Promise<void>): Promise<number> => {
    const began = performance.now();
    try {
      await work();
      await answers(name);
      return performance.now() - began;
    } finally {
      await environment.lago('--prefix-name', name, 'destroy', '--yes');
    }
  };
  await environment.init();
  try {
    await environment.lago('start');
    await answers('default');
    const figures = await alternate(
      5,
      async () =>
        await timed('booted', async () => {
          await environment.lago('--prefix-name', 'booted', 'init', ...environment.initArguments);
          await environment.lago('--prefix-name', 'booted', 'start');
        }),
      async () =>
        await timed('forked', async () => {
          fork.push(await environment.lago('fork', 'forked'));
        }),
    );
    say(`  fork ${median(fork).toFixed(0)} ms`);
    return {
      ratio: figures.ratio,
      fork_ms: Math.round(median(fork)),
      ours_ms: Math.round(figures.ours),
      reference_ms: Math.round(figures.reference),
    };
  } finally {
    await environment.lago('destroy', '--yes', '--all-prefixes');
  }
}
