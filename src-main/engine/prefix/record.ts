import { z } from 'zod';
import { HostChoice } from '../../../src-shared/host/host-choice.ts';
import { EnvironmentRepos } from '../../../src-shared/repos/package-repos.ts';
import { SnapshotMeasured } from '../../../src-shared/snapshot/timeline.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';

/** One snapshot of the whole environment, as recorded in the prefix. */
export const SnapshotRecord = z.object({
  name: z.string(),
  /**
   * `layers`: the disks as they were are files below newer layers, memory is a file of its own. `internal`: both are inside the disks' files
   * (libvirt's internal snapshots).
   */
  kind: z.enum(['internal', 'layers']),
  /** ms since the epoch. */
  createdAt: z.number(),
  parent: z.string().nullable(),
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
  measured: SnapshotMeasured.optional(),
  note: z.string().optional(),
  tags: z.array(z.string()).optional(),
  pinned: z.boolean().optional(),
  automatic: z.boolean().optional(),
});
export type SnapshotRecord = z.infer<typeof SnapshotRecord>;

/**
 * The unfinished operation of a verb that changes the prefix, written before its first effect and removed with its last. If no process
 * holds the lock, it was interrupted: the next process to take the lock resolves it first (`recover.ts`).
 */
export const PendingWork = z.object({
  kind: z.enum(['start', 'stop', 'shutdown', 'snapshot', 'revert', 'delete-snapshot', 'edit-snapshot', 'fork', 'export', 'destroy', 'vm']),
  /** The snapshot concerned; null for other operations. */
  name: z.string().nullable(),
  /** Other snapshots that are deleted with it. */
  also: z.array(z.string()).optional(),
  /** The snapshot's new name, if it is renamed. */
  to: z.string().optional(),
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
  /** Folders of the environments that are being forked from this one: those that are not whole are removed. */
  forks: z.array(z.string()).optional(),
  /** The folder that an export of a snapshot is writing, under its hidden name. */
  folder: z.string().optional(),
});
export type PendingWork = z.infer<typeof PendingWork>;

/** Our own facts about a prefix (`lago-desktop.json`); everything Lago knows stays in Lago's files. */
export const PrefixRecord = z.object({
  version: z.literal(3),
  /** `creating` until the prefix is complete; without a lock holder such a prefix is half-made. */
  phase: z.enum(['creating', 'ready']),
  host: HostChoice,
  initFile: z.string().nullable(),
  createdAt: z.number(),
  snapshots: z.array(SnapshotRecord),
  /** The snapshot that the current state is based on. */
  current: z.string().nullable(),
  pending: PendingWork.nullable(),
  /** When it was last reverted, ms since the epoch. */
  revertedAt: z.number().optional(),
  /** Which automatic snapshots are kept, if its init file says so. */
  snapshotKeep: z.object({ last: z.number().optional(), days: z.number().optional() }).optional(),
  /** Its package repositories, if its init file has any. */
  repos: EnvironmentRepos.optional(),
  /** The environment that this one was forked from, and its snapshot; null for what was the present when this one was created. */
  forkedFrom: z.object({ uuid: z.string(), snapshot: z.string().nullable() }).optional(),
});
export type PrefixRecord = z.infer<typeof PrefixRecord>;

const RecordV2 = PrefixRecord.extend({ version: z.literal(2), snapshots: z.array(SnapshotRecord.omit({ kind: true, measured: true })) });
const RecordV1 = RecordV2.omit({ pending: true }).extend({ version: z.literal(1) });

function fromV2(old: z.infer<typeof RecordV2>): PrefixRecord {
  return { ...old, version: 3, snapshots: old.snapshots.map((snapshot) => ({ ...snapshot, kind: 'internal' })) };
}

/** Reads every version of the format and converts it to the current one. The file itself is updated by the next write. */
const AnyRecord = z.union([
  PrefixRecord,
  RecordV2.transform(fromV2),
  RecordV1.transform((old) => fromV2({ ...old, version: 2, pending: null })),
]);

/** `undefined` for a prefix made by Lago itself. */
export async function readRecord(path: string): Promise<PrefixRecord | undefined> {
  return await readJson(path, AnyRecord);
}

export async function writeRecord(path: string, record: PrefixRecord): Promise<void> {
  await writeJson(path, record);
}
