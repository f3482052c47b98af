import { describe, expect, test } from 'vitest';
import { branchOf, chosenForRemoval } from './snapshot-tree.ts';

/** `b<a` came from a; a trailing `*` marks one that is pinned. */
function tree(...texts: readonly string[]): readonly { name: string; parent: string | null; pinned: boolean }[] {
  return texts.map((text) => {
    const [name = '', parent = null] = text.replace('*', '').split('<');
    return { name, parent, pinned: text.endsWith('*') };
  });
}
const TREE = tree('a', 'b<a', 'c<b*', 'd<a', 'e<c');

describe('a branch', () => {
  test.each([
    ['a', ['a', 'b', 'c', 'd', 'e']],
    ['b', ['b', 'c', 'e']],
    ['d', ['d']],
    ['none', []],
  ])('that begins with %s', (name, all) => expect(branchOf(TREE, name)).toEqual(all));

  test('is found whatever the order, and ends in a circle of damaged parents', () => {
    expect(branchOf(tree('c<b', 'b<a', 'a'), 'a')).toEqual(['c', 'b', 'a']);
    expect(branchOf(tree('a<b', 'b<a'), 'a')).toEqual(['a', 'b']);
  });
});

describe('a deletion', () => {
  test('of one is of that one', () => expect(chosenForRemoval(TREE, { name: 'c' })).toEqual(['c']));
  test('of all leaves what is pinned', () => expect(chosenForRemoval(TREE, { unpinned: true })).toEqual(['a', 'b', 'd', 'e']));
  test('of a branch leaves what is pinned, unless it is named', () => {
    expect(chosenForRemoval(TREE, { branch: 'b' })).toEqual(['b', 'e']);
    expect(chosenForRemoval(TREE, { branch: 'c' })).toEqual(['c', 'e']);
  });
});
