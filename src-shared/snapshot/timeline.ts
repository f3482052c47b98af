import { z } from 'zod';

/** As many forks may be made at once. */
export const MAX_FORKS = 50;

/** What taking a snapshot cost. */
export const SnapshotMeasured = z.object({
  /**
   * How memory was written; null when no VM was running. `background`: behind the VM's back; `pre-copy`: while it ran, and the rest in the
   * pause; `paused`: all of it in the pause.
   */
  mechanism: z.enum(['background', 'pre-copy', 'paused']).nullable(),
  /** VM → how long it stood still, ms. */
  stillMs: z.record(z.string(), z.number()),
  /** From the moment when the first VM stood until the last one did, ms. */
  skewMs: z.number(),
  /** VM → bytes of its memory's file. */
  memory: z.record(z.string(), z.number()),
  /** All of it, ms. */
  durationMs: z.number(),
});
export type SnapshotMeasured = z.infer<typeof SnapshotMeasured>;

/** One point of the environment's timeline. Times are ms since the epoch. */
export const SnapshotState = z.object({
  name: z.string(),
  createdAt: z.number(),
  /** The snapshot that was current when this one was taken; null for a root. */
  parent: z.string().nullable(),
  /** VM → `memory` (it was running) or `disk` (it was off). */
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
  /** VMs of which a file of this snapshot is not there any more, so that it cannot be reverted to. */
  missing: z.array(z.string()),
  /** VMs of which another program has changed a file of this snapshot since, so that a revert would not find what was kept; absent when there are none. */
  changed: z.array(z.string()).optional(),
  /** Whether the current state is based on it. */
  current: z.boolean(),
  /** `layers` can be forked; `internal` is libvirt's own kind, inside the disks' files. */
  kind: z.enum(['internal', 'layers']),
  /** Whatever its user wrote about it; may have several lines. */
  note: z.string(),
  tags: z.array(z.string()),
  /** Kept by retention and by “delete all but pinned”. */
  pinned: z.boolean(),
  /** Taken by the program: before a revert, by a schedule. */
  automatic: z.boolean(),
  /** Null for one that an older version, or Lago, took. */
  measured: SnapshotMeasured.nullable(),
  /**
   * VM → bytes on this machine's disk: `disk` is what was written since the point before and is in files of its own, `memory` the file of
   * its memory. Empty for an internal one, which shares its files with the others.
   */
  sizes: z.record(z.string(), z.object({ disk: z.number(), memory: z.number() })),
});
export type SnapshotState = z.infer<typeof SnapshotState>;

/** Something that happened to an environment, other than a snapshot that is still there. */
export const TimelineEvent = z.object({
  /** ms since the epoch. */
  at: z.number(),
  kind: z.enum(['start', 'stop', 'deploy', 'collect', 'revert', 'fork', 'change', 'failure']),
  /** For people: “Deploy web”, “Start failed: …”. */
  label: z.string(),
});
export type TimelineEvent = z.infer<typeof TimelineEvent>;
