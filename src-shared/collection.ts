import { z } from 'zod';

/** One path that was to be collected from a VM. */
export const CollectedArtifact = z.object({
  /** In the VM, as the init file names it. */
  path: z.string(),
  /** Name of its file or folder in the VM's folder of the collection; null when it is not there. */
  name: z.string().nullable(),
  /** Bytes of content; 0 when it is not there. */
  size: z.number(),
  /** Why it is not there or not complete, one sentence; null otherwise. */
  problem: z.string().nullable(),
  /** There is nothing at the path in the VM. */
  missing: z.boolean(),
});
export type CollectedArtifact = z.infer<typeof CollectedArtifact>;

export const CollectedVm = z.object({
  name: z.string(),
  /** How it was read; null when it could not be. */
  by: z.enum(['ssh', 'agent', 'disk']).nullable(),
  /** Why nothing of it could be read, one sentence; null otherwise. */
  problem: z.string().nullable(),
  artifacts: z.array(CollectedArtifact),
});
export type CollectedVm = z.infer<typeof CollectedVm>;

export const COLLECT_REASONS = ['manual', 'deploy failed', 'test failed'] as const;

/** What one collection holds, as stored beside it. Times are ms since the epoch. */
export const Collection = z.object({
  version: z.literal(1),
  /** Unique in its environment. */
  id: z.string().regex(/^[\w.-]+$/),
  at: z.number(),
  why: z.enum(COLLECT_REASONS),
  /** Absolute path of its folder, with one folder per VM. */
  folder: z.string(),
  /** False while it is being made, and for one that was interrupted. */
  finished: z.boolean(),
  vms: z.array(CollectedVm),
});
export type Collection = z.infer<typeof Collection>;

/** A file or folder of a collection. */
export const CollectedFile = z.object({
  name: z.string(),
  type: z.enum(['file', 'folder', 'link']),
  /** Bytes; 0 for anything but a file. */
  size: z.number(),
  /** ms since the epoch. */
  modifiedAt: z.number(),
  /** Where a link points; it is never followed. */
  target: z.string().nullable(),
});
export type CollectedFile = z.infer<typeof CollectedFile>;

/** A file that is not the same in two collections. */
export const CollectedChange = z.object({
  /** Relative to both collections. */
  path: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  /** Bytes before and after; null where it is not there. */
  before: z.number().nullable(),
  after: z.number().nullable(),
});
export type CollectedChange = z.infer<typeof CollectedChange>;

/** Bytes that one call reads of a file at most. */
export const MAX_FILE_RANGE = 1024 * 1024;

/** Part of a file of a collection. */
export const FileRange = z.object({
  /** Size of the whole file. */
  size: z.number(),
  /** The bytes, base64. */
  bytes: z.string(),
});
export type FileRange = z.infer<typeof FileRange>;

/** Lines that a diff shows at most. */
export const MAX_DIFF_LINES = 5000;

export const DiffLine = z.object({
  /** `gap`: lines that are the same are left out here. `note`: about the line before it. */
  kind: z.enum(['same', 'added', 'removed', 'gap', 'note']),
  /** Number of the line in each text, from 1; null where it is not in it. */
  before: z.number().nullable(),
  after: z.number().nullable(),
  /** Without its line break; the beginning of a very long one. */
  text: z.string(),
});
export type DiffLine = z.infer<typeof DiffLine>;

/** How a text differs between two collections. */
export const TextDiff = z.object({
  /** Why there are no lines: a file is no text, or too large. */
  problem: z.enum(['binary', 'large']).nullable(),
  /** At most `MAX_DIFF_LINES`. */
  lines: z.array(DiffLine),
  /** Lines in all. */
  added: z.number(),
  removed: z.number(),
});
export type TextDiff = z.infer<typeof TextDiff>;
