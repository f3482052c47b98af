import type { SnapshotKeep } from '../../../src-shared/snapshot/snapshot-keep.ts';
import type { SnapshotRecord } from '../prefix/record.ts';

const DAY_MS = 24 * 3600 * 1000;

/** The automatic snapshots that are not to be kept any more at `now` (ms), oldest first. Never one that is pinned. Pure. */
export function expiredSnapshots(snapshots: readonly SnapshotRecord[], keep: SnapshotKeep, now: number): readonly SnapshotRecord[] {
  const automatic = snapshots.filter((one) => one.automatic === true && one.pinned !== true);
  const newestFirst = automatic.toSorted((a, b) => b.createdAt - a.createdAt);
  const expired = newestFirst.filter(
    ({ createdAt }, place) => place >= (keep.last ?? Infinity) || now - createdAt > (keep.days ?? Infinity) * DAY_MS,
  );
  return expired.reverse();
}
