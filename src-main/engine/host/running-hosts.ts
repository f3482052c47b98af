import { readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { bootId, isRunning, type ProcessIdentity, parentOf, readOptional, startTimeOf } from '../core/process-identity.ts';
import { stopCell } from './embedded/cell.ts';
import { cleanLeftovers } from './embedded/leftovers.ts';

/** A running embedded host of this user, even if its environment's folder is gone. */
export interface RunningHost {
  /** Uuid of the environment. */
  readonly id: string | undefined;
  /** The first process of its cell; when it ends, everything in the host ends. */
  readonly pid: number;
  /** Absolute path of the environment. */
  readonly prefix: string;
  /** Whether the environment's folder is gone, so that no verb can find the host. */
  readonly orphaned: boolean;
}

interface Cell extends RunningHost {
  readonly identity: ProcessIdentity;
  readonly stateDir: string;
  readonly runtimeDir: string;
}

/** The hosts that this user runs, found by their processes; works without the environment's folder or sockets. */
export function runningHosts(): readonly RunningHost[] {
  return findCells().map(({ id, pid, prefix, orphaned }) => ({ id, pid, prefix, orphaned }));
}

/** Ends and returns the hosts whose environment's folder is gone, and removes what hosts that have ended left behind. */
export async function endOrphanedHosts(): Promise<readonly RunningHost[]> {
  const orphans = findCells().filter((cell) => cell.orphaned);
  for (const { id, identity, stateDir, runtimeDir } of orphans) {
    await stopCell({ id: id ?? '', stateDir, uplink: 'none', accelerator: 'auto' }, { identity, runtimeDir });
  }
  await cleanLeftovers();
  return orphans.map(({ id, pid, prefix, orphaned }) => ({ id, pid, prefix, orphaned }));
}

function findCells(): readonly Cell[] {
  const pids = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(isCellScript);
  // Exclude the script's own subshells, which look the same.
  return pids.filter((pid) => !pids.includes(parentOf(pid) ?? 0)).flatMap((pid) => cellOf(pid) ?? []);
}

function isCellScript(pid: number): boolean {
  return statSync(`/proc/${pid}`, { throwIfNoEntry: false })?.uid === process.getuid?.() && scriptOf(pid) === 'cell.sh';
}

function scriptOf(pid: number): string | undefined {
  const [program = '', script = ''] = readIfAllowed(`/proc/${pid}/cmdline`).split('\0');
  return basename(program) === 'bash' ? basename(script) : undefined;
}

/** The cell keeps its environment's lock open on this descriptor; the kernel reports its current path even after a move. */
const LOCK_FD = 9;
const DELETED = ' (deleted)';

/** Undefined when it has ended meanwhile. */
function cellOf(pid: number): Cell | undefined {
  const environment = readIfAllowed(`/proc/${pid}/environ`).split('\0');
  const value = (name: string): string | undefined => environment.find((entry) => entry.startsWith(`${name}=`))?.slice(name.length + 1);
  const lock = lockOf(pid);
  const runtimeDir = value('LAGO_RUNTIME');
  const identity = { pid, startTime: startTimeOf(pid) ?? '', boot: bootId() };
  if (lock === undefined || runtimeDir === undefined || !isRunning(identity)) return undefined;
  const orphaned = lock.endsWith(DELETED);
  const stateDir = dirname(orphaned ? lock.slice(0, -DELETED.length) : lock);
  const id = /"id":"([0-9a-f-]+)"/.exec(value('LAGO_FACTS') ?? '')?.[1];
  return { id, pid, prefix: dirname(stateDir), orphaned, identity, stateDir, runtimeDir };
}

function lockOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/fd/${LOCK_FD}`);
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

function readIfAllowed(path: string): string {
  try {
    return readOptional(path) ?? '';
  } catch (error) {
    // Another user's process, or one in its own namespace.
    if (['EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}
