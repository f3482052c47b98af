import { expect, it } from 'vitest';
import { formatBytes } from './bytes.ts';

it.each([
  [0, '0 B'],
  [-5, '0 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1024 * 1024 - 1, '1 MiB'],
  [2.14 * 1024 ** 3, '2.1 GiB'],
  [300 * 1024 ** 2, '300 MiB'],
  [99.96 * 1024 ** 3, '100 GiB'],
])('shows %d bytes as %s', (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});
