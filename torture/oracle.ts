import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { lagoOk } from './lago.ts';
import { expectThat } from './report.ts';
import { lastingProcesses, type Sandbox, VMS } from './sandbox.ts';

type Vm = (typeof VMS)[number];
/** The first byte of each VM's data disk. */
export type Marks = Readonly<Record<Vm, number>>;

interface StatusTree {
  readonly Prefix: { readonly VMs: Readonly<Record<string, { readonly status: string }>> };
}

function qemu(program: string, args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout;
}

function imagePath(sandbox: Sandbox, vm: string, disk: 'root' | 'marks'): string {
  return join(sandbox.prefix, 'images', `${vm}_${disk}.qcow2`);
}

/** The state of each VM according to "lago status". */
export async function vmStates(sandbox: Sandbox, enter: readonly string[] = []): Promise<Readonly<Record<string, string>>> {
  const { stdout } = await lagoOk(sandbox, ['-f', 'json', 'status'], { enter });
  const { VMs } = (JSON.parse(stdout) as StatusTree).Prefix;
  return Object.fromEntries(Object.entries(VMs).map(([name, vm]) => [name, vm.status]));
}

/** All VMs are up, or all are down and no process is left. */
export async function expectState(sandbox: Sandbox, wanted: 'running' | 'down'): Promise<void> {
  const states = await vmStates(sandbox);
  const holds = VMS.every((vm) => states[vm] === wanted);
  expectThat(holds, 'lost', () => `expected all VMs ${wanted}, "lago status" says ${JSON.stringify(states)}`);
  if (wanted === 'running') return;
  const left = await lastingProcesses(sandbox);
  expectThat(
    left.length === 0,
    'leaks',
    () => `expected no process of a stopped environment, there are ${left.map(({ command }) => command.slice(0, 80)).join('; ')}`,
  );
}

/** The snapshots that the command line lists; all VMs must have the same ones. */
export async function listedSnapshots(sandbox: Sandbox): Promise<string[]> {
  const { stdout } = await lagoOk(sandbox, ['-f', 'json', 'snapshot', '--list']);
  const tree = JSON.parse(stdout) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const [first = [], ...others] = VMS.map((vm) => Object.keys(tree[vm] ?? {}).sort());
  expectThat(
    others.every((names) => names.join() === first.join()),
    'lost',
    () => `expected the same snapshots of each VM: ${JSON.stringify(tree)}`,
  );
  return first;
}

/** Each disk contains the listed snapshots and no incomplete one. */
export function expectSnapshotsInImages(sandbox: Sandbox, listed: readonly string[]): void {
  for (const vm of VMS) {
    for (const disk of ['root', 'marks'] as const) {
      const text = qemu('qemu-img', ['snapshot', '-l', '-U', imagePath(sandbox, vm, disk)]);
      const inside = [...text.matchAll(/^\d+\s+(\S+)/gm)].map((match) => match[1] ?? '').sort();
      const missing = listed.filter((name) => !inside.includes(name));
      expectThat(
        missing.length === 0,
        'lost',
        () => `expected snapshots ${listed.join(', ')} in ${vm}_${disk}.qcow2, there are ${inside.join(', ')}`,
      );
      expectThat(
        inside.length === listed.length,
        'leaks',
        () => `expected only ${listed.join(', ')} in ${vm}_${disk}.qcow2, there are ${inside.join(', ')}`,
      );
    }
  }
}

/** qemu-img finds no error in any disk; only useful while the VMs are off. */
export function expectSoundImages(sandbox: Sandbox): void {
  for (const vm of VMS) {
    for (const disk of ['root', 'marks'] as const) {
      const { status, stdout, stderr } = spawnSync('qemu-img', ['check', imagePath(sandbox, vm, disk)], { encoding: 'utf8' });
      // 3 means leaked clusters; anything else is damage.
      expectThat(
        status === 0,
        status === 3 ? 'leaks' : 'lost',
        () => `expected a sound ${vm}_${disk}.qcow2: ${stdout.slice(-300)}${stderr.slice(-300)}`,
      );
    }
  }
}

function firstByte(sandbox: Sandbox, vm: Vm): number {
  const copy = join(sandbox.dir, 'sector');
  qemu('qemu-img', ['dd', '-U', '-f', 'qcow2', '-O', 'raw', 'bs=512', 'count=1', `if=${imagePath(sandbox, vm, 'marks')}`, `of=${copy}`]);
  return readFileSync(copy)[0] ?? -1;
}

export function readMarks(sandbox: Sandbox): Marks {
  return { web: firstByte(sandbox, 'web'), db: firstByte(sandbox, 'db') };
}

/** Writes data to the disks of VMs that are off. */
export function writeMarks(sandbox: Sandbox, value: number): Marks {
  for (const vm of VMS) qemu('qemu-io', ['-f', 'qcow2', '-c', `write -P ${value} 0 512`, imagePath(sandbox, vm, 'marks')]);
  return { web: value, db: value };
}

/** Each disk has the data last written to it, or that of one of the snapshots. */
export function expectMarks(sandbox: Sandbox, allowed: readonly Marks[]): void {
  const seen = readMarks(sandbox);
  const holds = VMS.every((vm) => allowed.some((marks) => marks[vm] === seen[vm]));
  expectThat(holds, 'lost', () => `expected the data ${JSON.stringify(allowed)} on the disks, it is ${JSON.stringify(seen)}`);
}
