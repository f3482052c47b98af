import { describe, expect, it } from 'vitest';
import {
  baseName,
  count,
  dots,
  formatAgo,
  formatClock,
  formatDate,
  formatDuration,
  formatFraction,
  formatMemory,
  subnetOf,
} from './format.ts';

describe('format', () => {
  it('shows a day', () => {
    expect(formatDate(new Date(2026, 9, 5, 23, 59).getTime())).toBe('5 Oct 2026');
  });

  it('shows memory given in MiB', () => {
    expect(formatMemory(512)).toBe('512 MiB');
    expect(formatMemory(16384)).toBe('16 GiB');
  });

  it.each([
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 m'],
    [250_000, '4 m 10 s'],
    [3_600_000, '1 h'],
    [7_500_000, '2 h 5 m'],
    [86_400_000, '1 d'],
    [100 * 3_600_000, '4 d 4 h'],
  ])('shows %d ms as %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text);
  });

  it('says how long ago', () => {
    expect(formatAgo(1_000_000, 1_030_000)).toBe('just now');
    expect(formatAgo(0, 250_000)).toBe('4 m ago');
    expect(formatAgo(0, 7_500_000)).toBe('2 h ago');
  });

  it('shows the date only for other days', () => {
    const now = new Date(2026, 10, 22, 15, 0).getTime();
    expect(formatClock(new Date(2026, 10, 22, 9, 5).getTime(), now)).toBe('09:05');
    expect(formatClock(new Date(2026, 10, 20, 23, 59).getTime(), now)).toBe('20 Nov 23:59');
  });

  it('never shows 100 % early', () => {
    expect(formatFraction(0.999)).toBe('99 %');
    expect(formatFraction(1)).toBe('100 %');
    expect(formatFraction(3)).toBe('100 %');
  });

  it('counts', () => {
    expect(count(1, 'VM')).toBe('1 VM');
    expect(count(0, 'VM')).toBe('0 VMs');
    expect(count(2, 'entry', 'entries')).toBe('2 entries');
  });

  it('derives the /24', () => {
    expect(subnetOf('192.168.200.1')).toBe('192.168.200.0/24');
    expect(subnetOf(null)).toBeNull();
    expect(subnetOf('fd00::1')).toBeNull();
  });

  it('takes the last part of a path', () => {
    expect(baseName('/a/b/init.json')).toBe('init.json');
    expect(baseName('C:\\a\\x.yaml')).toBe('x.yaml');
    expect(baseName('/')).toBe('/');
  });

  it('joins what is there', () => {
    expect(dots('a', null, '', false, 'b')).toBe('a · b');
  });
});
