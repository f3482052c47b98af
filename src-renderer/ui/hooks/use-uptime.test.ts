import { expect, test } from 'vitest';
import { formatUptime } from '../../format.ts';
import { untilNextReading } from './use-uptime.ts';

test.each([
  [0, 1_000],
  [1_400, 600],
  [59_999, 1],
  [60_000, 60_000],
  [90_000, 30_000],
  [-5, 1_000],
])('a span of %i ms reads differently after %i ms', (elapsed, wait) => {
  expect(untilNextReading(elapsed)).toBe(wait);
});

test('the text stays the same until then and changes afterwards', () => {
  for (const elapsed of [0, 999, 41_300, 59_000, 60_500, 3_599_000, 3_661_000, 90_000_000]) {
    const next = elapsed + untilNextReading(elapsed);
    expect(formatUptime(next - 1)).toBe(formatUptime(elapsed));
  }
  expect(formatUptime(41_300)).toBe('41 s');
  expect(formatUptime(260_000)).toBe('4 m');
  expect(formatUptime(3_900_000)).toBe('1 h 5 m');
});
