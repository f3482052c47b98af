import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_CHANGES } from '../../../../src-shared/snapshot/changes.ts';
import type { VolumeEntry } from '../../disk/content/ext-volume.ts';
import { compareTrees, undecided } from './compare-trees.ts';

const FILE: VolumeEntry = { type: 'file', mode: 0o644, uid: 0, gid: 0, size: 4, stamp: 'one', target: '' };
const NONE: ReadonlySet<string> = new Set();

function tree(entries: Readonly<Record<string, Partial<VolumeEntry>>>): ReadonlyMap<string, VolumeEntry> {
  return new Map(Object.entries(entries).map(([path, entry]) => [path, { ...FILE, ...entry }]));
}

test('files that are only on one side are added or removed, in the order of their paths', () => {
  const { files, counts } = compareTrees(
    tree({ '/b': {}, '/same': {} }),
    tree({ '/same': {}, '/c': { type: 'folder' }, '/a': { size: 9 } }),
    NONE,
  );
  expect(files).toEqual([
    { path: '/a', change: 'added', type: 'file', aspects: [], sizeBefore: null, sizeAfter: 9 },
    { path: '/b', change: 'removed', type: 'file', aspects: [], sizeBefore: 4, sizeAfter: null },
    { path: '/c', change: 'added', type: 'folder', aspects: [], sizeBefore: null, sizeAfter: null },
  ]);
  expect(counts).toEqual({ added: 2, removed: 1, changed: 0 });
});

test.each<[string, Partial<VolumeEntry>, Partial<VolumeEntry>, readonly string[]]>([
  ['size', {}, { size: 5, stamp: 'two' }, ['content']],
  ['times only', {}, { stamp: 'two' }, []],
  ['permissions', {}, { mode: 0o600 }, ['permissions']],
  ['owner and group', {}, { uid: 1, gid: 2 }, ['owner']],
  ['a link’s target', { type: 'link', target: 'a' }, { type: 'link', target: 'b' }, ['target']],
  ['a link’s permissions', { type: 'link' }, { type: 'link', mode: 0o777 }, []],
  ['file to link', {}, { type: 'link', mode: 0o777, uid: 3 }, ['type']],
  ['a folder’s size', { type: 'folder', size: 1 }, { type: 'folder', size: 2 }, []],
])('what of a file changed: %s', (_, before, after, aspects) => {
  const { files } = compareTrees(tree({ '/f': before }), tree({ '/f': after }), NONE);
  expect(files.flatMap((file) => file.aspects)).toEqual(aspects);
});

test('only files of one size and with another stamp, or none, have to be read', () => {
  const before = tree({
    '/same': {},
    '/newer': {},
    '/unknown': { stamp: '' },
    '/grown': {},
    '/gone': {},
    '/empty': { size: 0 },
    '/link': {},
  });
  const after = tree({
    '/same': {},
    '/newer': { stamp: 'two' },
    '/unknown': { stamp: '' },
    '/grown': { size: 5, stamp: 'two' },
    '/empty': { size: 0, stamp: 'two' },
    '/link': { type: 'link', stamp: 'two' },
  });
  expect(undecided(before, after)).toEqual(['/newer', '/unknown']);
  const { files } = compareTrees(before, after, new Set(['/newer']));
  expect(files.map(({ path, aspects }) => [path, aspects])).toContainEqual(['/newer', ['content']]);
  expect(files.map(({ path }) => path)).not.toContain('/unknown');
});

test('more changes than there is room for are counted', () => {
  const after = new Map(Array.from({ length: MAX_CHANGES + 1 }, (_, index) => [`/${index}`, FILE]));
  const { files, counts, truncated } = compareTrees(tree({}), after, NONE);
  expect([files.length, counts.added, truncated]).toEqual([MAX_CHANGES, MAX_CHANGES + 1, true]);
});

test('a comparison the other way round is the mirror image', () => {
  const entry = fc.record({
    type: fc.constantFrom('file' as const, 'folder' as const, 'link' as const),
    mode: fc.constantFrom(0o600, 0o644),
    size: fc.constantFrom(0, 1, 2),
    stamp: fc.constantFrom('one', 'two'),
  });
  const anyTree = fc.dictionary(fc.constantFrom('/a', '/b', '/c', '/d/e'), entry).map((entries) => tree(entries));
  fc.assert(
    fc.property(anyTree, anyTree, (before, after) => {
      const there = compareTrees(before, after, new Set(undecided(before, after)));
      const back = compareTrees(after, before, new Set(undecided(after, before)));
      expect(back.files.map(({ path }) => path)).toEqual(there.files.map(({ path }) => path));
      expect(back.counts).toEqual({ added: there.counts.removed, removed: there.counts.added, changed: there.counts.changed });
    }),
  );
});
