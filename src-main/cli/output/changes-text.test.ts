import { expect, test } from 'vitest';
import type { Changes } from '../../../src-shared/snapshot/changes.ts';
import { changesText, diffText } from './changes-text.ts';

const NOTHING: Changes = {
  vm: 'web',
  from: 'clean',
  to: null,
  readAt: 0,
  files: [],
  counts: { added: 0, removed: 0, changed: 0 },
  truncated: false,
  packages: [],
  notes: [],
};

test('nothing changed', () => {
  expect(changesText({ ...NOTHING, notes: ['A note.'] }, false)).toBe('web: nothing changed\n  A note.');
  expect(changesText(NOTHING, true)).toBe('web: 0 packages changed');
});

test('files and packages, with names that cannot move the cursor', () => {
  const changes: Changes = {
    ...NOTHING,
    files: [
      { path: '/a\u001b[2J\nb', change: 'added', type: 'file', aspects: [], sizeBefore: null, sizeAfter: 2048 },
      { path: '/d', change: 'removed', type: 'folder', aspects: [], sizeBefore: null, sizeAfter: null },
      { path: '/f', change: 'changed', type: 'file', aspects: ['content', 'owner'], sizeBefore: 1, sizeAfter: 2 },
    ],
    counts: { added: 1, removed: 1, changed: 9 },
    truncated: true,
    packages: [
      { name: 'gone', before: '1', after: null },
      { name: 'new', before: null, after: '2' },
      { name: 'up', before: '1', after: '2' },
    ],
  };
  expect(changesText(changes, false).split('\n')).toEqual([
    'web: 1 added, 1 removed, 9 changed',
    '  + /a?b  (2 KiB)',
    '  - /d/',
    '  ~ /f  (content, owner, 1 B → 2 B)',
    '  … and 8 more',
    '  packages:',
    '  - gone 1',
    '  + new 2',
    '  ~ up 1 → 2',
  ]);
  expect(changesText(changes, true).split('\n')[0]).toBe('web: 3 packages changed');
});

test('how a text changed', () => {
  const line = { before: 1, after: 1, text: 'x\u0007' };
  const lines = [
    { ...line, kind: 'same' as const },
    { ...line, kind: 'removed' as const },
    { ...line, kind: 'added' as const },
    { ...line, kind: 'gap' as const, text: '' },
  ];
  expect(diffText('/f', { problem: null, lines, added: 1, removed: 1 })).toBe('/f: 1 lines added, 1 removed\n x\n-x\n+x\n@@');
  expect(diffText('/f', { problem: 'binary', lines: [], added: 0, removed: 0 })).toBe('/f is no text.');
});
