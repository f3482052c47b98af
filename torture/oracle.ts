import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Strictness, wrongFiles } from '../e2e/support/whole-environment.ts';
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

/** The file that a VM's disk of marks writes to: its uppermost layer. */
function marksDisk({ prefix }: Sandbox, vm: Vm): string {
  const { disks } = JSON.parse(readFileSync(join(prefix, 'virt', `vm-${vm}`), 'utf8')) as {
    readonly disks: readonly { readonly name: string; readonly path: string }[];
  };
  const path = disks.find(({ name }) => name === 'marks')?.path;
  if (path === undefined) throw new Error(`VM ${vm} has no disk for marks.`);
  return path.replace('$LAGO_PREFIX_PATH', prefix);
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

/** The files of an environment are those of its snapshots and its present, and sound. */
export function expectWholeFiles(root: string, how?: Strictness): void {
  const wrong = wrongFiles(root, how);
  const damage = wrong.every((one) => /^foreign|is not needed$/.test(one)) ? 'leaks' : 'lost';
  expectThat(wrong.length === 0, damage, () => `expected the files of snapshots and the present only, in ${root}: ${wrong.join('; ')}`);
}

/** The same, unless something is unfinished. */
export function expectSnapshotFiles({ prefix }: Sandbox): void {
  const { pending } = JSON.parse(readFileSync(join(prefix, 'lago-desktop.json'), 'utf8')) as { readonly pending: unknown };
  if (pending === null) expectWholeFiles(prefix, { merged: false });
}

/** qemu-img finds no error in any disk; only useful while the VMs are off. */
export function expectSoundImages(sandbox: Sandbox): void {
  const images = join(sandbox.prefix, 'images');
  for (const name of readdirSync(images)) {
    const { status, stdout, stderr } = spawnSync('qemu-img', ['check', join(images, name)], { encoding: 'utf8' });
    // 3 means leaked clusters; anything else is damage.
    expectThat(status === 0, status === 3 ? 'leaks' : 'lost', () => `expected a sound ${name}: ${stdout.slice(-300)}${stderr.slice(-300)}`);
  }
}

function firstByte(sandbox: Sandbox, vm: Vm): number {
  const copy = join(sandbox.dir, 'sector');
  qemu('qemu-img', ['dd', '-U', '-f', 'qcow2', '-O', 'raw', 'bs=512', 'count=1', `if=${marksDisk(sandbox, vm)}`, `of=${copy}`]);
  return readFileSync(copy)[0] ?? -1;
}

export function readMarks(sandbox: Sandbox): Marks {
  return { web: firstByte(sandbox, 'web'), db: firstByte(sandbox, 'db') };
}

/** Writes data to the disks of VMs that are off. */
export function writeMarks(sandbox: Sandbox, value: number): Marks {
  for (const vm of VMS) qemu('qemu-io', ['-f', 'qcow2', '-c', `write -P ${value} 0 512`, marksDisk(sandbox, vm)]);
  return { web: value, db: value };
}

/** Each disk has the data last written to it, or that of one of the snapshots. */
export function expectMarks(sandbox: Sandbox, allowed: readonly Marks[]): void {
  const seen = readMarks(sandbox);
  const holds = VMS.every((vm) => allowed.some((marks) => marks[vm] === seen[vm]));
  expectThat(holds, 'lost', () => `expected the data ${JSON.stringify(allowed)} on the disks, it is ${JSON.stringify(seen)}`);
}
