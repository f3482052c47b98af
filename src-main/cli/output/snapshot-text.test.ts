import { describe, expect, test } from 'vitest';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import { removalText, revertText, snapshotTree } from './snapshot-text.ts';

function point(name: string, parent: string | null, more: Partial<SnapshotState> = {}): SnapshotState {
  return {
    ...{ name, parent, createdAt: 0, vms: { db: 'disk' }, missing: [], current: false, kind: 'layers', note: '', tags: [] },
    ...{ pinned: false, automatic: false, measured: null, sizes: {} },
    ...more,
  };
}

describe('the tree', () => {
  test('has each snapshot below the one that it came from', () => {
    const lines = snapshotTree([point('a', null), point('b', 'a'), point('c', 'b'), point('d', 'a')]);
    expect(lines.map((line) => line.replace(/(\w) .*/, '$1'))).toEqual(['a', '  b', '    c', '  d']);
  });

  test('says what is known of each', () => {
    const [line, ...note] = snapshotTree([
      point('a', 'gone', {
        ...{ vms: { web: 'memory', db: 'disk' }, sizes: { web: { disk: 1024, memory: 2048 } }, note: 'All up.\nAt last.' },
        ...{ tags: ['good'], pinned: true, automatic: true, current: true, missing: ['db'] },
      }),
    ]);
    expect(line).toMatch(/^a {2}\S+ \S+ {2}memory and disks {2}3 KiB {2}pinned {2}automatic {2}files missing: db {2}#good {2}← now$/);
    expect(note).toEqual(['    All up.', '    At last.']);
  });
});

test('a deletion of nothing is said to be one', () => {
  expect(removalText({ snapshots: [], bytes: 0, merges: [] })).toEqual(['Nothing would be deleted.']);
});

test('a revert that is not possible is said to be none', () => {
  const [line, more] = revertText('a', { since: 0, vms: [{ vm: 'db', now: 'down', to: 'disk' }], missing: ['db'] });
  expect([line, more]).toEqual(['Cannot revert to a: files of db are missing.', undefined]);
});
