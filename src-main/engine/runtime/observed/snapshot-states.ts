import type { SnapshotState } from '../../../../src-shared/timeline.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/** The points of an environment's timeline, in the order in which they were taken. */
export function snapshotStates({ record }: Prefix): SnapshotState[] {
  return (record?.snapshots ?? []).map((snapshot) => ({
    ...snapshot,
    missing: [],
    current: snapshot.name === record?.current,
    note: snapshot.note ?? '',
    tags: snapshot.tags ?? [],
    pinned: snapshot.pinned ?? false,
    automatic: snapshot.automatic ?? false,
    measured: snapshot.measured ?? null,
    sizes: {},
  }));
}
