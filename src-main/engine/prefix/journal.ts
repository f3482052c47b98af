import { EngineError } from '../../../src-shared/errors.ts';
import { isDead } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import type { Prefix } from './prefix.ts';
import { type PendingWork, type PrefixRecord, readRecord, writeRecord } from './record.ts';

/**
 * The journal of one piece of work on a prefix whose lock is held: what is being done is written before the first effect and taken away
 * after the last one, so that whoever comes after a kill knows what to finish or take back.
 */
export interface Journal {
  /** Says how far it is, and which VMs that is about where it is not all. */
  advance(step: string, vms?: readonly string[]): Promise<void>;
  /** Nothing is pending any more, and `change` is made to the record in the same write. */
  settle(change?: (record: PrefixRecord) => PrefixRecord): Promise<void>;
}

/** For a prefix that Lago made: it has no record, and the verbs that work on it can simply be said again. */
const NONE: Journal = { advance: async () => await Promise.resolve(), settle: async () => await Promise.resolve() };

/**
 * Begins a piece of work. `ifFree`: where something else is still pending, or the disk is full, it goes on without a journal: for work
 * that can be said again, and that must be possible then.
 */
export async function beginWork(
  prefix: Prefix,
  work: Omit<PendingWork, 'since'>,
  options: { readonly log: Log; readonly ifFree?: boolean },
): Promise<Journal> {
  const { record } = prefix;
  if (record === undefined || (options.ifFree === true && record.pending !== null)) return NONE;
  const path = prefix.paths.record;
  let pending: PendingWork = { ...work, since: Date.now() };
  try {
    await writeRecord(path, { ...record, pending });
  } catch (error) {
    if (options.ifFree !== true || !isFull(error)) throw error;
    options.log.warn(error instanceof Error ? error.message : String(error));
    return NONE;
  }
  return {
    async advance(step, vms = pending.vms) {
      pending = { ...pending, step, vms: [...vms] };
      await writeRecord(path, { ...record, pending });
    },
    async settle(change = (same) => same) {
      // A killed process does not tidy up either.
      if (!isDead()) await settlePending(prefix, change, options.log);
    },
  };
}

/** Takes away what the record says is pending. When only that is to be written, a full disk can wait: it is tried again by the next. */
export async function settlePending(prefix: Prefix, change: ((record: PrefixRecord) => PrefixRecord) | undefined, log: Log): Promise<void> {
  const now = await readRecord(prefix.paths.record);
  if (now === undefined) return;
  const changed = change?.(now) ?? now;
  try {
    await writeRecord(prefix.paths.record, { ...changed, pending: null });
  } catch (error) {
    if (changed !== now || !isFull(error)) throw error;
    log.warn(error instanceof Error ? error.message : String(error));
  }
}

function isFull(error: unknown): boolean {
  return error instanceof EngineError && error.code === 'host.no-space';
}
