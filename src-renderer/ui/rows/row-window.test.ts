import { expect, it } from 'vitest';
import { rowWindow } from './row-window.ts';

it.each([
  [0, 0, 240, 0, 0],
  [5, 0, 240, 0, 5],
  [1000, 0, 240, 0, 22],
  [1000, 2400, 240, 88, 122],
  [1000, 24_000 - 240, 240, 978, 1000],
  // Scrolled further than there are rows, as after a filter.
  [10, 24_000, 240, 10, 10],
])('of %i rows, at %i px in %i px, those from %i to %i are there', (count, scrollTop, height, first, end) => {
  expect(rowWindow(count, 24, scrollTop, height)).toEqual({ first, end });
});
