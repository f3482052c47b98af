import { readFileSync } from 'node:fs';

/**
 * Identifies a process of this machine uniquely: pid, start time (clock ticks since boot, field 22 of /proc/PID/stat) and boot id. A pid
 * alone is reused.
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
  readonly boot: string;
}

/** Parses `PID START BOOT[ REST]` as cell.sh writes it; undefined for anything else. `rest` is what follows (may be empty). */
export function parseIdentity(text: string): (ProcessIdentity & { readonly rest: string }) | undefined {
  const match = /^(\d{1,10}) (\d{1,20}) ([0-9a-f-]{36})(?: (.*))?\n?$/s.exec(text);
  if (match === null) return undefined;
  return { pid: Number(match[1]), startTime: match[2] ?? '', boot: match[3] ?? '', rest: (match[4] ?? '').trimEnd() };
}

/** Fields of /proc/PID/stat from the third (state) on. */
function statOf(pid: number): readonly string[] | undefined {
  const stat = readOptional(`/proc/${pid}/stat`);
  // The program's name, field 2, may contain blanks and brackets: count fields from the last bracket.
  return stat?.slice(stat.lastIndexOf(') ') + 2).split(' ');
}

/** Start time of a process, undefined when there is none or it is a zombie. */
export function startTimeOf(pid: number): string | undefined {
  const fields = statOf(pid);
  return fields?.[0] === 'Z' || fields?.[0] === 'X' ? undefined : fields?.[19];
}

/** Pid of a process's parent, undefined when there is no such process. */
export function parentOf(pid: number): number | undefined {
  const fields = statOf(pid);
  return fields === undefined ? undefined : Number(fields[1]);
}

/** True while exactly this process runs. */
export function isRunning(identity: ProcessIdentity): boolean {
  return identity.boot === bootId() && startTimeOf(identity.pid) === identity.startTime;
}

/** Sends SIGKILL to exactly this process; does nothing when it has ended. */
export function kill(identity: ProcessIdentity): void {
  if (!isRunning(identity)) return;
  try {
    process.kill(identity.pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** The kernel's random id of the current boot. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}

/** A small file's text; undefined when it does not exist or, in /proc, its process has just ended. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}
