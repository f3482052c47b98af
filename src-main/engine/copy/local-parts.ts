import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { bootId, isRunning, startTimeOf } from '../core/process-identity.ts';
import { unique } from './transfer.ts';

// Names for what is not complete yet, beside its target: hidden, and with the process that is writing it.

/** A name of this process for something incomplete. */
export function ownPart(target: string): string {
  return partOf(target, `${process.pid}-${startTimeOf(process.pid) ?? '0'}-${bootId()}-${unique()}`);
}

/** A name that the next copy of the same file finds again. */
export function keptPart(target: string, size: number, mtime: number): string {
  return partOf(target, `${size}-${mtime}`);
}

/** Removes what copies to this target have left whose process was killed, and kept parts other than `current`. */
export async function removeStaleParts(target: string, current: string | undefined): Promise<void> {
  const begin = `.${shortName(target)}.`;
  for (const name of await readdir(dirname(target))) {
    if (!name.startsWith(begin) || name === (current === undefined ? undefined : basename(current))) continue;
    const id = name.slice(begin.length);
    const owner = /^(\d+)-(\d+)-([0-9a-f-]{36})-[0-9a-f]{12}\.lago-part$/.exec(id);
    const [, pid, startTime = '', boot = ''] = owner ?? [];
    const dead = owner !== null && !isRunning({ pid: Number(pid), startTime, boot });
    if (dead || /^\d+-\d+\.lago-part$/.test(id)) await rm(join(dirname(target), name), { recursive: true, force: true });
  }
}

function partOf(target: string, id: string): string {
  return join(dirname(target), `.${shortName(target)}.${id}.lago-part`);
}

/** Short enough for a name with an id. */
function shortName(target: string): string {
  return basename(target).slice(0, 40);
}
