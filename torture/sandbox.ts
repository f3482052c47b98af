import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** The checkout. */
export const root = resolve(import.meta.dirname, '..');
export const VMS = ['web', 'db'] as const;

/** A process of a sandbox. */
export interface Owned {
  readonly pid: number;
  readonly command: string;
}

/** Folders and variables of one environment: nothing outside `dir` is read or written, and guests have no internet access. */
export interface Sandbox {
  readonly dir: string;
  readonly env: Readonly<Record<string, string>>;
  readonly prefix: string;
}

const made = new Set<string>();
let count = 0;
let base: string | undefined;

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // The process ended between listing and reading, or belongs to another user.
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES' || code === 'EPERM') return '';
    throw error;
  }
}

/** An init file of two VMs, each with a disk of the sample guest and an empty one for marks. */
function twoVms(): string {
  const disks = [
    { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' },
    { name: 'marks', dev: 'vdc', format: 'qcow2', type: 'empty', size: '16M' },
  ];
  const domains = Object.fromEntries(VMS.map((vm) => [vm, { memory: 128, vcpu: 1, nics: [{ net: 'front' }], disks }]));
  const nets = { front: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } };
  return JSON.stringify({ nets, domains }, null, 2);
}

/** Creates the folders and the init file. */
export function makeSandbox(initFile = twoVms()): Sandbox {
  // Short: socket paths have at most 107 bytes.
  base ??= mkdtempSync('/tmp/lago-torture-');
  const dir = join(base, String(++count));
  made.add(dir);
  const folder = (name: string): string => {
    const path = join(dir, name);
    mkdirSync(path, { mode: 0o700, recursive: true });
    return path;
  };
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder('home'),
    XDG_CONFIG_HOME: folder('config'),
    XDG_DATA_HOME: folder('data'),
    XDG_CACHE_HOME: folder('cache'),
    XDG_RUNTIME_DIR: folder('run'),
    LAGO__INIT__TEMPLATE_STORE: folder('store'),
    LAGO__INIT__TEMPLATE_REPOS: join(dir, 'repos'),
    LAGO_LEASE_DIR: folder('leases'),
    DBUS_SESSION_BUS_ADDRESS: 'disabled:',
    DBUS_SYSTEM_BUS_ADDRESS: 'disabled:',
    LAGO_CONFINED: '1',
    LAGO_UPLINK: 'none',
  };
  writeFileSync(join(dir, 'LagoInitFile'), initFile);
  return { dir, env, prefix: join(dir, '.lago/default') };
}

/** Processes whose command line or environment contains the folder, except this one. */
export function ownedProcesses({ dir }: Pick<Sandbox, 'dir'>): Owned[] {
  const found: Owned[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    // A kernel thread, or a zombie not yet reaped by its parent.
    if (command === '') continue;
    if (`${command} `.includes(`${dir}/`) || read(`/proc/${pid}/environ`).includes(`${dir}/`)) found.push({ pid, command });
  }
  return found;
}

/** Processes, except one, that are still running after a moment: ending a host does not wait until its last process is gone. */
export async function lastingProcesses(sandbox: Sandbox, but = ''): Promise<Owned[]> {
  const others = (): Owned[] => ownedProcesses(sandbox).filter(({ pid }) => String(pid) !== but);
  for (let look = 0; look < 50; look++) {
    if (others().length === 0) return [];
    await pause(100);
  }
  return others();
}

/** Living processes with this program's name, including those identified only by the sandbox's network namespace (dnsmasq). */
export function processesNamed(sandbox: Sandbox, name: string): number[] {
  const own = networkOf('self');
  const networks = new Set(ownedProcesses(sandbox).map(({ pid }) => networkOf(String(pid))));
  return readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && read(`/proc/${pid}/comm`).trim().startsWith(name))
    .filter((pid) => networkOf(pid) !== own && networks.has(networkOf(pid)))
    .map(Number);
}

/** Empty for a process that has ended. */
function networkOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** Sends a signal; ignores a process that has already ended. */
export function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function endAll(dir: string): void {
  for (let round = 0; round < 100; round++) {
    const owned = ownedProcesses({ dir });
    if (owned.length === 0) return;
    for (const { pid } of owned) signalTo(pid, 'SIGKILL');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
  }
}

/** Ends all its processes, by pid, and removes it. */
export function removeSandbox({ dir }: Pick<Sandbox, 'dir'>): void {
  endAll(dir);
  rmSync(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  made.delete(dir);
}

/** Called at the end of every run: leaves nothing that the run started. */
export function removeAllSandboxes(): void {
  for (const dir of made) removeSandbox({ dir });
  if (base !== undefined) rmSync(base, { recursive: true, force: true });
}

function filesBelow(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [];
}

/** What a destroyed environment left behind: processes (except one), mounts, sockets, leases, files, partial templates. */
export async function leftovers(sandbox: Sandbox, but?: string): Promise<string[]> {
  const { dir } = sandbox;
  const processes = await lastingProcesses(sandbox, but);
  return [
    ...processes.map(({ pid, command }) => `process ${pid}: ${command.slice(0, 160)}`),
    ...read('/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(`${dir}/`))
      .map((line) => `mount: ${line}`),
    ...filesBelow(join(dir, 'run')).filter((name) => /sock|pid|libvirt|cell|facts/.test(name)),
    ...filesBelow(join(dir, 'leases')).filter((name) => name.endsWith('.lease')),
    ...filesBelow(join(dir, '.lago')).filter((name) => !/^(current|.*\.lock)$/.test(name)),
    ...filesBelow(join(dir, 'store')).filter(
      (name) => !/^lago:[^/]*?(\.(hash|info|users|lock|metadata))?$/.test(name) || /part|tmp/.test(name),
    ),
  ];
}
