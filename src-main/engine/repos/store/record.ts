import { statSync } from 'node:fs';
import { z } from 'zod';
import { writeJson } from '../../core/files/json-file.ts';
import { readState } from './read-state.ts';

/** A file of the repository's folder as it was when its content was last known to be right. */
const KnownFile = z.object({
  /** Relative to the repository's folder. */
  path: z.string(),
  size: z.number(),
  /** Of its last change: with it and the size unchanged, the content is taken for unchanged. */
  mtimeMs: z.number(),
});
export type KnownFile = z.infer<typeof KnownFile>;

const KnownPackage = KnownFile.extend({
  /** As people read it: `bash-5.1-2.el9.x86_64`. */
  name: z.string(),
  algorithm: z.string(),
  hex: z.string(),
  base: z.string().optional(),
});
export type KnownPackage = z.infer<typeof KnownPackage>;

/** A wanted package; its time of change is not known before it is here. */
export type WantedPackage = Omit<KnownPackage, 'mtimeMs'>;

/** The repository's own index as it was read last. */
const KnownIndex = z.object({
  sha256: z.string(),
  etag: z.string().optional(),
  modified: z.string().optional(),
  /** ms since the epoch: when it was made, if it says so. An older one is not taken for the next. */
  date: z.number().optional(),
  /** ms since the epoch: an index that says so is out of date from then on. */
  validUntil: z.number().optional(),
  /** Digest of what its signature was checked with. */
  trust: z.string().optional(),
});
export type KnownIndex = z.infer<typeof KnownIndex>;

/** What is known of a synchronised repository. Written last. */
const SyncRecord = z.object({
  version: z.literal(1),
  id: z.string(),
  name: z.string(),
  /** Where it came from. */
  source: z.string(),
  /** Digest of servers and filters; a repository of another definition has a folder of its own. */
  definition: z.string(),
  /** ms since the epoch: when it was last compared with its server. */
  syncedAt: z.number(),
  /** ms since the epoch: when something was last different. */
  changedAt: z.number(),
  index: KnownIndex,
  /** The boot of this machine in which something was last fetched: after another one, a power failure may have lost what was written. */
  boot: z.string(),
  /** ms since the epoch: what was changed before is on disk for certain. */
  settledBefore: z.number(),
  /** The packages' signatures were checked. */
  signed: z.boolean(),
  packages: z.array(KnownPackage),
  metadata: z.array(KnownFile),
});
export type SyncRecord = z.infer<typeof SyncRecord>;

/** Reads a record. A damaged one counts as none: everything is compared with its server again. */
export async function readRecord(path: string): Promise<SyncRecord | undefined> {
  return await readState(path, SyncRecord);
}

/** A record with what tells whether its file is still the same. */
export interface RecordAsRead {
  readonly record: SyncRecord | undefined;
  readonly identity: string;
}

/** Reads a record, but for the one that was read before if nobody has replaced it: those of thousands of packages take a while. */
export async function readRecordAnew(path: string, before?: RecordAsRead): Promise<RecordAsRead> {
  const found = statSync(path, { throwIfNoEntry: false });
  // Each is a new file.
  const identity = found === undefined ? '' : `${found.ino} ${found.mtimeMs} ${found.size}`;
  if (before !== undefined && before.identity === identity) return before;
  return { identity, record: await readRecord(path) };
}

export async function writeRecord(path: string, record: SyncRecord): Promise<void> {
  await writeJson(path, record);
}
