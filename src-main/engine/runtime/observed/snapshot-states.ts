import type { SnapshotState } from '../../../../src-shared/timeline.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/** The points of an environment's timeline, in the order in which they were taken. */
export function snapshotStates({ record }: Prefix): SnapshotState[] {
  // What a fork of the present needs for a moment is not a point of the timeline.
  const pending = record?.pending;
  const points = (record?.snapshots ?? []).filter(({ name }) => pending?.kind !== 'fork' || name !== pending.name);
  return points.map((snapshot) => ({
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
