import { z } from 'zod';

/** Files of one VM that a result names at most. */
export const MAX_CHANGES = 20_000;
/** Packages of one VM that a result names at most. */
export const MAX_PACKAGE_CHANGES = 20_000;

export const CHANGED_ASPECTS = ['content', 'type', 'target', 'permissions', 'owner'] as const;

/** A file that is not the same at two points. */
export const FileChange = z.object({
  /** Absolute, in the VM. */
  path: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  /** What it is; of a removed one, what it was. */
  type: z.enum(['file', 'folder', 'link', 'special']),
  /** What of it is different, for a changed one. Times do not count. */
  aspects: z.array(z.enum(CHANGED_ASPECTS)),
  /** Bytes before and after; null where it is not there, and for anything but a file. */
  sizeBefore: z.number().nullable(),
  sizeAfter: z.number().nullable(),
});
export type FileChange = z.infer<typeof FileChange>;

/** A package that is not the same at two points: `before` and `after` are its versions, null where it is not installed. */
export const PackageChange = z.object({
  name: z.string(),
  before: z.string().nullable(),
  after: z.string().nullable(),
});
export type PackageChange = z.infer<typeof PackageChange>;

/** What changed on the disks of a VM between two points. Times are ms since the epoch. */
export const Changes = z.object({
  vm: z.string(),
  /** Names of snapshots; `to` is null for the present. */
  from: z.string(),
  to: z.string().nullable(),
  /** When the disks were read. */
  readAt: z.number(),
  /** At most `MAX_CHANGES`, sorted by path. */
  files: z.array(FileChange),
  /** Of all changes, also those that `files` has no room for. */
  counts: z.object({ added: z.number(), removed: z.number(), changed: z.number() }),
  truncated: z.boolean(),
  /** Sorted by name. */
  packages: z.array(PackageChange),
  /** What was not compared, and why: sentences for people. */
  notes: z.array(z.string()),
});
export type Changes = z.infer<typeof Changes>;
