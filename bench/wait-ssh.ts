import { join } from 'node:path';
import { bundle, engineFile, makeScratch, median, root, runTimed, type Scratch, say } from './support/measure.ts';
import { prepareSampleEnvironment, type SampleEnvironment } from './support/sample-environment.ts';

/**
 * Waiting until VMs that have just been started accept a login. Both wait for the same boot at the same time, since boots differ more than
 * ways of waiting.
 */
export const title = 'waiting for ssh of 3 VMs that boot, against a loop of ssh true in their network; processor time while waiting for 10';
export const goal = 'time <= 1.05, cpu <= 1, percent_10 <= 5';

const ROUNDS = 5;
/** With 10 VMs; each takes a minute on two cores. */
const MANY_ROUNDS = 2;
/** MiB of each VM. */
const MEMORY = 192;

/** A wait: its end, and the processor time of our process and the host's relay, or of the loop and all that it started. In ms. */
interface Waited {
  readonly end: number;
  readonly cpu: number;
}

type Way = 'ours' | 'loop';

/** A wait's duration, and the processor time as above. In ms. */
interface Figures {
  readonly ms: number;
  readonly cpu: number;
}

/** Waits for all VMs of a prefix, in one of two ways. The processor time is without the program's start. */
const PROGRAM = `
import { join } from 'node:path';
import { engineSettings, loadConfig } from ${engineFile('configuration/config.ts')};
import { silentLog } from ${engineFile('core/log.ts')};
import { createRegistry } from ${engineFile('plugins/registry.ts')};
import { readPrefix, vmAddress } from ${engineFile('prefix/prefix.ts')};
import { connectGuest } from ${engineFile('runtime/access.ts')};
import { createHostAccess } from ${engineFile('runtime/session.ts')};
const [path, how, loop] = process.argv.slice(2);
const settings = engineSettings(await loadConfig());
const resourcesDir = ${JSON.stringify(join(root, 'resources'))};
const hosts = createHostAccess({ settings, resourcesDir, log: silentLog });
const context = { hosts, settings, resourcesDir, plugins: createRegistry() };
const prefix = await readPrefix(path);
const { vms } = prefix.specs;
const { host } = await hosts.find(prefix, undefined);
const inside = async (...argv) => {
  const { code, stdout, stderr } = await host.run(argv, { timeoutMs: 600_000 });
  if (code !== 0) throw new Error(stderr);
  return stdout;
};
/** Ticks of 10 ms. */
const relay = async () => {
  const stat = await inside('sh', '-c', 'cat $(grep -la "[r]elay.cjs" /proc/[0-9]*/cmdline | sed s/cmdline/stat/) /dev/null');
  return stat.split('\\n').reduce((sum, line) => {
    const [user = 0, system = 0] = line.slice(line.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
    return sum + user + system;
  }, 0);
};
const seconds = (text) => {
  const [minutes = 0, rest = 0] = text.replace('s', '').split('m').map(Number);
  return minutes * 60 + rest;
};
if (how === 'ours') {
  const before = await relay();
  const cpu = process.cpuUsage();
  await Promise.all(vms.map(async (vm) => await (await connectGuest(context, prefix, vm, {})).close()));
  const end = Date.now();
  const { user, system } = process.cpuUsage(cpu);
  console.log(JSON.stringify({ end, cpu: (user + system) / 1000 + ((await relay()) - before) * 10 }));
} else {
  const addresses = vms.map((vm) => vmAddress(prefix.specs, vm));
  const [end, ...times] = (await inside(loop, join(path, 'id_ed25519'), ...addresses)).trim().split(/\\s+/);
  console.log(JSON.stringify({ end: Number(end), cpu: times.reduce((sum, one) => sum + seconds(one) * 1000, 0) }));
}
await hosts[Symbol.asyncDispose]();
process.exit();
`;

/** Starts the environment and waits in these ways at the same time. Then it is stopped again. */
async function waitFor(
  environment: SampleEnvironment,
  scratch: Scratch,
  program: readonly string[],
  ways: readonly Way[],
): Promise<Figures[]> {
  await environment.lago('start');
  const began = Date.now();
  const figures = await Promise.all(
    ways.map(async (way) => {
      const argv = [...program, environment.prefix, way, join(root, 'bench/reference/wait-ssh.sh')];
      const { stdout } = await runTimed({ argv, env: scratch.env, cwd: scratch.dir });
      const { end, cpu } = JSON.parse(stdout) as Waited;
      say(`  ${environment.vms.length} VMs, ${way}: ${end - began} ms, ${cpu.toFixed(0)} ms of processor time`);
      return { ms: end - began, cpu };
    }),
  );
  await environment.lago('stop');
  return figures;
}

/** The figures of each round with `count` VMs, in the order of `ways`. The first boot, which does what later ones do not, is not counted. */
async function rounds(count: number, times: number, ways: readonly Way[]): Promise<Figures[][]> {
  using scratch = makeScratch();
  const program = await bundle(scratch, PROGRAM);
  const environment = prepareSampleEnvironment(scratch, { count, memory: MEMORY });
  await environment.init();
  try {
    const all: Figures[][] = [];
    for (let round = 0; round <= times; round++) all.push(await waitFor(environment, scratch, program, ways));
    return all.slice(1);
  } finally {
    await environment.lago('destroy', '--yes', '--all-prefixes');
  }
}

export async function run(): Promise<Record<string, number>> {
  const both = await rounds(3, ROUNDS, ['ours', 'loop']);
  const ratio = (key: keyof Figures): number =>
    median(both.map(([ours, loop]) => (ours?.[key] ?? Number.NaN) / (loop?.[key] ?? Number.NaN)));
  const many = (await rounds(10, MANY_ROUNDS, ['ours'])).flat();
  return { time: ratio('ms'), cpu: ratio('cpu'), percent_10: median(many.map(({ ms, cpu }) => (cpu / ms) * 100)) };
}
