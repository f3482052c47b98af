import { z } from 'zod';
import { HostChoice } from '../../../src-shared/host-choice.ts';
import { readJson, writeJson } from '../core/json-file.ts';

/** One snapshot of the whole environment, as the prefix remembers it. */
export const SnapshotRecord = z.object({
  name: z.string(),
  /** ms since the epoch. */
  createdAt: z.number(),
  parent: z.string().nullable(),
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

/**
 * What a verb that changes the prefix is in the middle of, written before its first effect and taken away with its last. One that is
 * found without a holder of the lock was interrupted: whoever takes the lock next resolves it first (`recover.ts`).
 */
export const PendingWork = z.object({
  kind: z.enum(['start', 'stop', 'snapshot', 'revert', 'delete-snapshot', 'destroy']),
  /** The snapshot that it is about; null for other work. */
  name: z.string().nullable(),
  /** How far it is, in the words of its kind: decides between going on and going back. */
  step: z.string(),
  /** ms since the epoch. */
  since: z.number(),
  /** The VMs that are worked on. */
  vms: z.array(z.string()),
  /** Those that ran (not paused, not off) before the first effect. */
  running: z.array(z.string()),
  /** Whether the host was up before the first effect. */
  hostWasUp: z.boolean(),
});
export type PendingWork = z.infer<typeof PendingWork>;

/** Our own facts about a prefix (`lago-desktop.json`); everything Lago knows stays in Lago's files. */
export const PrefixRecord = z.object({
  version: z.literal(2),
  /** `creating` until everything is in place; a prefix that is found in it without a lock holder is half-made. */
  phase: z.enum(['creating', 'ready']),
  host: HostChoice,
  initFile: z.string().nullable(),
  createdAt: z.number(),
  snapshots: z.array(SnapshotRecord),
  /** The snapshot that the present is built on. */
  current: z.string().nullable(),
  pending: PendingWork.nullable(),
});
export type PrefixRecord = z.infer<typeof PrefixRecord>;

const RecordV1 = PrefixRecord.omit({ pending: true }).extend({ version: z.literal(1) });

/** Any version that was ever written, as the present one. The file itself is brought up to date by the next write. */
const AnyRecord = z.union([PrefixRecord, RecordV1.transform((old): PrefixRecord => ({ ...old, version: 2, pending: null }))]);

/** `undefined` for a prefix that Lago itself made. */
export async function readRecord(path: string): Promise<PrefixRecord | undefined> {
  return await readJson(path, AnyRecord);
}

export async function writeRecord(path: string, record: PrefixRecord): Promise<void> {
  await writeJson(path, record);
}
