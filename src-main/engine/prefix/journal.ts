import { EngineError } from '../../../src-shared/errors.ts';
import { isDead } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import type { Prefix } from './prefix.ts';
import { type PendingWork, type PrefixRecord, readRecord, writeRecord } from './record.ts';

/**
 * The journal of one operation on a prefix whose lock is held. It is written before the first effect and cleared after the last one, so
 * that after a kill the next process knows what to finish or undo.
 */
export interface Journal {
  /** Records the current step, and the VMs it affects unless it affects all. */
  advance(step: string, vms?: readonly string[]): Promise<void>;
  /** Clears the pending work and applies `change` to the record in the same write. */
  settle(change?: (record: PrefixRecord) => PrefixRecord): Promise<void>;
}

/** For a prefix made by Lago: it has no record, and its verbs can simply be repeated. */
const NONE: Journal = { advance: async () => await Promise.resolve(), settle: async () => await Promise.resolve() };

/**
 * Begins an operation. `ifFree`: continue without a journal when other work is pending or the disk is full. For repeatable operations that
 * must be possible then.
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
      // A killed process does not clean up either.
      if (!isDead()) await settlePending(prefix, change, options.log);
    },
  };
}

/** Clears the pending work in the record. If nothing else changes, a full disk is no error: the next operation tries again. */
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
