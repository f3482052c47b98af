import { z } from 'zod';
import { HostChoice } from '../../../src-shared/host/host-choice.ts';
import { readJson, writeJson } from '../core/json-file.ts';

/** One snapshot of the whole environment, as recorded in the prefix. */
export const SnapshotRecord = z.object({
  name: z.string(),
  /** ms since the epoch. */
  createdAt: z.number(),
  parent: z.string().nullable(),
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

/**
 * The unfinished operation of a verb that changes the prefix, written before its first effect and removed with its last. If no process
 * holds the lock, it was interrupted: the next process to take the lock resolves it first (`recover.ts`).
 */
export const PendingWork = z.object({
  kind: z.enum(['start', 'stop', 'shutdown', 'snapshot', 'revert', 'delete-snapshot', 'destroy', 'vm']),
  /** The snapshot concerned; null for other operations. */
  name: z.string().nullable(),
  /** Progress within its kind: decides between completing and undoing. */
  step: z.string(),
  /** ms since the epoch. */
  since: z.number(),
  /** The VMs concerned. */
  vms: z.array(z.string()),
  /** The VMs that were running (not paused, not off) before the first effect. */
  running: z.array(z.string()),
  /** Whether the host was up before the first effect. */
  hostWasUp: z.boolean(),
});
export type PendingWork = z.infer<typeof PendingWork>;

/** Our own facts about a prefix (`lago-desktop.json`); everything Lago knows stays in Lago's files. */
export const PrefixRecord = z.object({
  version: z.literal(2),
  /** `creating` until the prefix is complete; without a lock holder such a prefix is half-made. */
  phase: z.enum(['creating', 'ready']),
  host: HostChoice,
  initFile: z.string().nullable(),
  createdAt: z.number(),
  snapshots: z.array(SnapshotRecord),
  /** The snapshot that the current state is based on. */
  current: z.string().nullable(),
  pending: PendingWork.nullable(),
});
export type PrefixRecord = z.infer<typeof PrefixRecord>;

const RecordV1 = PrefixRecord.omit({ pending: true }).extend({ version: z.literal(1) });

/** Reads every version of the format and converts it to the current one. The file itself is updated by the next write. */
const AnyRecord = z.union([PrefixRecord, RecordV1.transform((old): PrefixRecord => ({ ...old, version: 2, pending: null }))]);

/** `undefined` for a prefix made by Lago itself. */
export async function readRecord(path: string): Promise<PrefixRecord | undefined> {
  return await readJson(path, AnyRecord);
}

export async function writeRecord(path: string, record: PrefixRecord): Promise<void> {
  await writeJson(path, record);
}
