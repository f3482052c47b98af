import { closeSync, existsSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@playwright/test';
import type { Scratch } from './scratch.ts';

/** A process that belongs to a run: its command line or its environment names the run's folder. */
export interface OwnedProcess {
  readonly pid: number;
  readonly command: string;
  /** Its network namespace, as `net:[4026531840]`. */
  readonly net: string;
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // it ended between listing and reading
  }
}

function link(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

/** Processes of the run that live now, this one excepted. */
export function ownedProcesses(scratch: Scratch): OwnedProcess[] {
  const found: OwnedProcess[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    const command = read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
    if (command === '') continue; // a kernel thread, or a zombie that its parent has not collected yet
    if (command.includes(scratch.dir) || read(`/proc/${pid}/environ`).includes(scratch.dir)) {
      found.push({ pid, command, net: link(`/proc/${pid}/ns/net`) });
    }
  }
  return found;
}

/** Kept open, since the kernel gives the number of a namespace that is gone to the next one, which may be anybody's. */
const held = new Map<string, number>();

/** Network namespaces, other than our own, that processes of the run are in. They stay distinguishable until `expectNothingLeft`. */
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

function hold(pid: number, net: string): void {
  try {
    held.set(net, openSync(`/proc/${pid}/ns/net`, 'r'));
  } catch (error) {
    if (!['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error; // it has ended
  }
}

/** The network namespace of each process of the machine. */
function livingNamespaces(): string[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => link(`/proc/${pid}/ns/net`));
}

/** Files and folders below a folder, as paths relative to it. */
function filesBelow(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort() : [];
}

/** Waits until no process of the run lives: Chromium's helper processes end shortly after the main one. */
export async function expectNoProcess(scratch: Scratch): Promise<void> {
  await expect.poll(() => ownedProcesses(scratch).map(({ command }) => command), { timeout: 10_000 }).toEqual([]);
}

/**
 * After the last environment was destroyed and the window closed: no process of the run lives, none of the namespaces it had
 * does, and no runtime folder, lease or environment is left.
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
  expect(filesBelow(scratch.workdir).filter((name) => !/^(current|\.lago(\/.*)?|.*\.lock)$/.test(name))).toEqual([]);
}
