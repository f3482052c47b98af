import { expect, test } from 'vitest';
import { findWord, partOf } from './file-parts.ts';

const range = (text: string, size: number): { size: number; bytes: string } => ({ size, bytes: btoa(text) });

test('a part ends with a whole line unless the file ends', () => {
  expect(partOf(range('one\ntwo\nthr', 100), 10)).toEqual({ from: 10, to: 18, size: 100, text: 'one\ntwo\n', binary: false });
  expect(partOf(range('one\ntwo', 17), 10)).toMatchObject({ to: 17, text: 'one\ntwo' });
  expect(partOf(range('no line end', 100), 0)).toMatchObject({ to: 11, text: 'no line end' });
  expect(partOf(range('a\0b', 3), 0).binary).toBe(true);
  expect(partOf(range('', 0), 0)).toMatchObject({ from: 0, to: 0, text: '' });
});

test('words are found without regard to case', () => {
  expect(findWord('An Error here, error there', 'error', 0)).toBe(3);
  expect(findWord('An Error here, error there', 'error', 4)).toBe(15);
  expect([findWord('x', '', 0), findWord('x', 'y', 0)]).toEqual([-1, -1]);
});
