import { expect, test } from 'vitest';
import { foresee } from './foresee.ts';
import type { LayerFile } from './unneeded.ts';

/** `c>b` is a layer c on b. */
function files(...texts: readonly string[]): readonly LayerFile[] {
  return texts.map((text) => {
    const [path = '', below] = text.split('>');
    return { path, below, shared: false };
  });
}

function foreseen(all: readonly LayerFile[], named: string, running = ''): unknown {
  const words = (text: string): ReadonlySet<string> => new Set(text.split(' ').filter((one) => one !== ''));
  const { deleted, merged } = foresee(all, { named: words(named), running: words(running) });
  return { deleted: deleted.map(({ path }) => path), merged: merged.map(({ path }) => path) };
}

test('a branch that nobody needs is deleted, and nothing is merged', () => {
  expect(foreseen(files('a', 'b>a', 'c>b', 'd>a'), 'a d')).toEqual({ deleted: ['c', 'b'], merged: [] });
});

test('layers in the middle are merged, the last one too', () => {
  // What was taken in is deleted.
  expect(foreseen(files('a', 'b>a', 'c>b', 'd>c'), 'a d')).toEqual({ deleted: [], merged: ['b', 'c'] });
});

test('what is written into the file below is named by that file', () => {
  expect(foreseen(files('a', 'b>a', 'c>b'), 'b c', 'c')).toEqual({ deleted: [], merged: ['b'] });
});

test('nothing happens where all is needed', () => {
  expect(foreseen(files('a', 'b>a'), 'a b')).toEqual({ deleted: [], merged: [] });
});
