import { expect, test } from 'vitest';
import type { FileChange } from '../../../src-shared/snapshot/changes.ts';
import { type ChangeNode, changeTree } from './change-tree.ts';

function file(path: string, change: FileChange['change'], type: FileChange['type'] = 'file'): FileChange {
  return { path, change, type, aspects: [], sizeBefore: null, sizeAfter: null };
}

/** Nodes as `name +added -removed ~changed`, indented. */
function drawn(nodes: readonly ChangeNode[], indent = ''): readonly string[] {
  return nodes.flatMap(({ name, counts, children, change }) => [
    `${indent}${change?.change[0] ?? ' '} ${name} ${counts.added}/${counts.removed}/${counts.changed}`,
    ...drawn(children, `${indent}  `),
  ]);
}

test('a tree with counts, in which folders with one folder in them have no line of their own', () => {
  const files = [
    file('/etc/hosts', 'changed'),
    file('/srv', 'added', 'folder'),
    file('/srv/a', 'added'),
    file('/var/lib/dpkg/status', 'changed'),
    file('/var/lib/dpkg/old', 'removed'),
    file('vdb1:/data/x', 'added'),
  ];
  expect(drawn(changeTree(files))).toEqual([
    '  etc 0/0/1',
    '  c hosts 0/0/0',
    'a srv 1/0/0',
    '  a a 0/0/0',
    '  var/lib/dpkg 0/1/1',
    '  r old 0/0/0',
    '  c status 0/0/0',
    '  vdb1:/data 1/0/0',
    '  a x 0/0/0',
  ]);
  expect(changeTree(files).map(({ path }) => path)).toEqual(['/etc', '/srv', '/var/lib/dpkg', 'vdb1:/data']);
});

test('no changes have no tree', () => {
  expect(changeTree([])).toEqual([]);
});
