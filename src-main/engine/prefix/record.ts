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

/** Our own facts about a prefix (`lago-desktop.json`); everything Lago knows stays in Lago's files. */
export const PrefixRecord = z.object({
  version: z.literal(1),
  /** `creating` until everything is in place; a prefix that is found in it without a lock holder is half-made. */
  phase: z.enum(['creating', 'ready']),
  host: HostChoice,
  initFile: z.string().nullable(),
  createdAt: z.number(),
  snapshots: z.array(SnapshotRecord),
  /** The snapshot that the present is built on. */
  current: z.string().nullable(),
});
export type PrefixRecord = z.infer<typeof PrefixRecord>;

/** `undefined` for a prefix that Lago itself made. */
export async function readRecord(path: string): Promise<PrefixRecord | undefined> {
  return await readJson(path, PrefixRecord);
}

export async function writeRecord(path: string, record: PrefixRecord): Promise<void> {
  await writeJson(path, record);
}
