import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { hasOption, lago, lagoOk, type Outcome, shown } from './lago.ts';
import { vmStates } from './oracle.ts';
import type { Random } from './random.ts';
import { expectThat } from './report.ts';
import { ownedProcesses, processesNamed, type Sandbox, signalTo } from './sandbox.ts';

/** What a case works on: a running environment, and the words that move verbs to the namespace with its disk. */
export interface Faulty {
  readonly sandbox: Sandbox;
  readonly random: Random;
  readonly enter: readonly string[];
}

type Case = (one: Faulty) => Promise<void>;

/** The verb ends in time with a sentence that does not blame an installed package. */
function expectTruth(outcome: Outcome): void {
  expectThat(!outcome.late && outcome.code !== undefined, 'lost', () => `expected an answer; ${shown(outcome)}`);
  expectThat(!/\n\s+at .*:\d+|Install libvirt/.test(outcome.stderr), 'lost', () => `expected the true reason; ${shown(outcome)}`);
  expectThat(outcome.code === 0 || outcome.stderr.trim() !== '', 'lost', () => `expected a reason; ${shown(outcome)}`);
}

function someProcess({ sandbox, random }: Faulty, name: string): number {
  const [first, ...rest] = processesNamed(sandbox, name);
  if (first === undefined) throw new Error(`No ${name} of the sandbox runs.`);
  return random.pick([first, ...rest]);
}

async function ask({ sandbox, random, enter }: Faulty): Promise<void> {
  for (const verb of ['status', random.pick(['start', 'snapshot x', 'snapshot y', 'status'])]) {
    expectTruth(await lago(sandbox, verb.split(' '), { enter }));
  }
}

const killed =
  (name: string): Case =>
  async (one) => {
    signalTo(someProcess(one, name), 'SIGKILL');
    await ask(one);
    // The next start restores what the fault removed.
    await lagoOk(one.sandbox, ['start'], { enter: one.enter });
    const states = await vmStates(one.sandbox, one.enter);
    expectThat(
      Object.values(states).every((state) => state === 'running'),
      'lost',
      () => `expected running VMs after start: ${JSON.stringify(states)}`,
    );
    expectThat(processesNamed(one.sandbox, name).length > 0, 'lost', () => `expected ${name} after start`);
  };

const hung =
  (name: string): Case =>
  async (one) => {
    signalTo(someProcess(one, name), 'SIGSTOP');
    await ask(one);
  };

async function runtimeFolderRemoved(one: Faulty): Promise<void> {
  rmSync(one.sandbox.env['XDG_RUNTIME_DIR'] ?? '', { recursive: true });
  await ask(one);
}

async function cellKilled(one: Faulty): Promise<void> {
  const [pid = ''] = readFileSync(join(one.sandbox.prefix, 'host/cell'), 'utf8').split(' ');
  signalTo(Number(pid), 'SIGKILL');
  await ask(one);
  await lagoOk(one.sandbox, ['start']);
}

async function prefixRemoved({ sandbox }: Faulty): Promise<void> {
  const id = readFileSync(join(sandbox.prefix, 'uuid'), 'utf8').trim();
  rmSync(join(sandbox.dir, '.lago'), { recursive: true });
  const known = await hasOption(sandbox, 'list', '--running');
  expectThat(
    known,
    'leaks',
    () => `expected a verb that finds the host, there is none; ${ownedProcesses(sandbox).length} processes run on`,
  );
  const { stdout } = await lagoOk(sandbox, ['list', '--running']);
  expectThat(
    stdout.includes(id.slice(0, 8)) || stdout.includes(sandbox.prefix),
    'leaks',
    () => `expected ${id} in "lago list --running": ${stdout}`,
  );
}

/** The whole environment is on a small disk in its own mount namespace. */
async function diskFull(one: Faulty): Promise<void> {
  const { sandbox, enter } = one;
  // Ends when the disk is full.
  spawnSync('nsenter', [...enter.slice(1), 'cp', '/dev/zero', join(sandbox.dir, '.lago/filler')]);
  const outcome = await lago(sandbox, ['snapshot', 'full'], { enter });
  expectTruth(outcome);
  expectThat(outcome.code === 3, 'lost', () => `expected a snapshot on a full disk to be refused with exit code 3; ${shown(outcome)}`);
  const states = await vmStates(sandbox, enter);
  expectThat(
    Object.values(states).every((state) => state === 'running'),
    'lost',
    () => `expected the VMs to go on: ${JSON.stringify(states)}`,
  );
}

/** An image removed while the VMs are off. */
async function imageRemoved({ sandbox, random }: Faulty): Promise<void> {
  await lagoOk(sandbox, ['stop']);
  const images = readdirSync(join(sandbox.prefix, 'images')).map((name) => join(sandbox.prefix, 'images', name));
  const [first, ...rest] = images.filter((path) => statSync(path).isFile());
  if (first === undefined) throw new Error('The prefix has no images.');
  rmSync(random.pick([first, ...rest]));
  const outcome = await lago(sandbox, ['start']);
  expectTruth(outcome);
  expectThat(outcome.code !== 0, 'lost', () => `expected start without a disk to fail; ${shown(outcome)}`);
}

export const CASES: Readonly<Record<string, Case>> = {
  'libvirtd killed': killed('libvirtd'),
  'libvirtd hung': hung('libvirtd'),
  'QEMU killed': killed('qemu-system'),
  'QEMU hung': hung('qemu-system'),
  'dnsmasq killed': killed('dnsmasq'),
  'virtlogd killed': killed('virtlogd'),
  'runtime folder removed': runtimeFolderRemoved,
  'cell killed': cellKilled,
  'image removed': imageRemoved,
  'disk full': diskFull,
  'prefix removed': prefixRemoved,
};
