import { z } from 'zod';
import { VmStatus } from '../state.ts';

/** What is to be deleted: one snapshot, one with everything that came from it, or all that are not pinned. */
export const RemovalChoice = z.union([
  z.object({ name: z.string() }),
  z.object({ branch: z.string() }),
  z.object({ unpinned: z.literal(true) }),
]);
export type RemovalChoice = z.infer<typeof RemovalChoice>;

/** What a deletion would do. */
export const RemovalPlan = z.object({
  /** The snapshots that go, in the order in which they were taken. */
  snapshots: z.array(z.string()),
  /** Bytes that this machine's disk gets back at least; merged layers may give back more. */
  bytes: z.number(),
  /** VMs of which layers are merged, and how many. */
  merges: z.array(z.object({ vm: z.string(), layers: z.number() })),
});
export type RemovalPlan = z.infer<typeof RemovalPlan>;

/** What a revert would do. */
export const RevertPlan = z.object({
  /** ms since the epoch: what was done in the environment since then is lost, unless it is kept first. */
  since: z.number(),
  /** The VMs that go back: how they are now, and whether they go on with their memory or are off after it. */
  vms: z.array(z.object({ vm: z.string(), now: VmStatus, to: z.enum(['memory', 'disk']) })),
  /** VMs of which a file of the snapshot is not there any more, so that it cannot be reverted to. */
  missing: z.array(z.string()),
  /** VMs of which another program has changed a file of the snapshot, so that it is not reverted to; absent when there are none. */
  changed: z.array(z.string()).optional(),
});
export type RevertPlan = z.infer<typeof RevertPlan>;
