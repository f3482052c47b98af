/** Which automatic snapshots are kept; without a limit, all are. */
export interface SnapshotKeep {
  /** Only so many of the newest. */
  readonly last?: number | undefined;
  /** Only those that are not older. */
  readonly days?: number | undefined;
}

/** Before what a snapshot can be taken automatically: `vm` is a change of a VM while it is there. */
export const SNAPSHOT_BEFORE = ['revert', 'deploy', 'vm'] as const;
export type SnapshotBefore = (typeof SNAPSHOT_BEFORE)[number];
