import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import type { Scratch } from './scratch.ts';

/** A process of a run: its command line or environment contains the run's folder. */
export interface OwnedProcess {
  readonly pid: number;
  readonly command: string;
  /** Its network namespace, such as `net:[4026531840]`. */
  readonly net: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the process ended between listing and reading
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

/** Command line of a process; empty when it has ended. */
export function commandOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`);
}

/** Living processes of the run, except this one. */
export function ownedProcesses(scratch: Scratch): OwnedProcess[] {
  const found: OwnedProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    if (command === '') continue; // a kernel thread, or a zombie not yet reaped by its parent
    if (command.includes(scratch.dir) || read(`/proc/${pid}/environ`).includes(scratch.dir)) {
      found.push({ pid, command, net: link(`/proc/${pid}/ns/net`) });
    }
  }
  return found;
}

/** Kills what still runs of the run's environments, which are meant to outlive the program: a failed test leaves them. */
export function endProcesses(scratch: Scratch): void {
  for (const { pid } of ownedProcesses(scratch)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** The QEMU process of a VM. */
export function qemuOf(scratch: Scratch, vm: string): number {
  const found = ownedProcesses(scratch).filter(({ command }) => command.includes('qemu-system') && command.includes(`guest=`));
  const one = found.find(({ command }) => new RegExp(`guest=[^ ,]*-${vm},`).test(command));
  if (one === undefined) throw new Error(`No QEMU of ${vm} among ${found.length}.`);
  return one.pid;
}

/** Kept open, because the kernel may reuse the number of a removed namespace for an unrelated one. */
const held = new Map<string, number>();

/** Network namespaces, except our own, of the run's processes. Their numbers stay unique until `expectNothingLeft`. */
export function ownedNamespaces(scratch: Scratch): Set<string> {
  const own = readlinkSync('/proc/self/ns/net');
  const found = new Set<string>();
  for (const { pid, net } of ownedProcesses(scratch)) {
    if (net === '' || net === own) continue;
    if (!held.has(net)) hold(pid, net);
    found.add(net);
  }
  return found;
}

/** The pids of the run's DHCP servers, whose environment does not mention the run: those in its network namespaces. */
export function dhcpServers(scratch: Scratch): readonly number[] {
  const namespaces = ownedNamespaces(scratch);
  return ownedProcesses({ ...scratch, dir: '' })
    .filter(({ command, net }) => /dnsmasq .*--conf-file=/.test(command) && namespaces.has(net))
    .map(({ pid }) => pid);
}

function hold(pid: number, net: string): void {
  try {
    held.set(net, openSync(`/proc/${pid}/ns/net`, 'r'));
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error; // the process has ended
  }
}

/** The network namespace of each process on this machine. */
function livingNamespaces(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => link(`/proc/${pid}/ns/net`));
}

/** Files and folders below a folder, as paths relative to it. */
function filesBelow(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [];
}

/** Waits until no process of the run is left: Chromium's helper processes end shortly after the main one. */
export async function expectNoProcess(scratch: Scratch): Promise<void> {
  await expect.poll(() => ownedProcesses(scratch).map(({ command }) => command), { timeout: 10_000 }).toEqual([]);
}

/**
 * To be called after the last environment was destroyed and the window closed: checks that the run has left no process, network
 * namespace, runtime folder, lease or environment.
 */
export async function expectNothingLeft(scratch: Scratch, namespaces: ReadonlySet<string>): Promise<void> {
  await expectNoProcess(scratch);
  await expect.poll(() => livingNamespaces().filter((namespace) => namespaces.has(namespace)), { timeout: 10_000 }).toEqual([]);
  for (const namespace of namespaces) {
    const handle = held.get(namespace);
    if (handle !== undefined) closeSync(handle);
    held.delete(namespace);
  }
  expect(filesBelow(join(scratch.dir, 'run')).filter((name) => /sock|pid|libvirt|\.lease/.test(name))).toEqual([]);
  // The link to the environment in use leads to the original where there is one.
  const kept = scratch.original === undefined ? [] : [scratch.original, 'current'];
  const stays = (name: string): boolean => /^(current|\.lago(\/.*)?|.*\.lock)$/.test(name) || kept.includes(name.split('/')[0] ?? '');
  expect(filesBelow(scratch.workdir).filter((name) => !stays(name))).toEqual([]);
}
