import { describe, expect, test } from 'vitest';
import type { SnapshotKeep } from '../../../src-shared/snapshot/snapshot-keep.ts';
import type { SnapshotRecord } from '../prefix/record.ts';
import { expiredSnapshots } from './retention.ts';

const DAY = 24 * 3600 * 1000;
const NOW = 100 * DAY;

/** `age` in days. */
function point(name: string, age: number, more: Partial<SnapshotRecord> = {}): SnapshotRecord {
  return { name, kind: 'layers', createdAt: NOW - age * DAY, parent: null, vms: {}, automatic: true, ...more };
}
const expired = (keep: SnapshotKeep, ...points: SnapshotRecord[]): readonly string[] =>
  expiredSnapshots(points, keep, NOW).map(({ name }) => name);

describe('automatic snapshots', () => {
  const points = [point('a', 9), point('b', 3), point('c', 5), point('d', 0)];

  test.each<[SnapshotKeep, readonly string[]]>([
    [{}, []],
    [{ last: 2 }, ['a', 'c']],
    [{ last: 10 }, []],
    [{ days: 4 }, ['a', 'c']],
    [{ last: 3, days: 4 }, ['a', 'c']],
    [{ last: 1, days: 4 }, ['a', 'c', 'b']],
  ])('kept by %o', (keep, gone) => {
    expect(expired(keep, ...points)).toEqual(gone);
  });

  test('that are pinned, and those of users, neither go nor count', () => {
    expect(
      expired({ last: 1 }, point('a', 9), point('p', 8, { pinned: true }), point('u', 7, { automatic: false }), point('b', 1)),
    ).toEqual(['a']);
  });
});
