import { describe, expect, it } from 'vitest';
import { editDistance, nearest } from './nearest.ts';

describe('nearest', () => {
  it.each([
    ['stats', 'status'],
    ['destory', 'destroy'],
    ['snap', 'snapshot'],
    ['SNAP_SHOT', 'snapshot'],
    ['tsop', 'stop'],
    ['q', undefined],
    ['completely-else', undefined],
  ])('%s → %s', (given, meant) => expect(nearest(given, ['status', 'start', 'stop', 'destroy', 'snapshot'])).toBe(meant));
  it('counts edits', () => {
    expect(editDistance('', 'abc')).toBe(3);
    expect(editDistance('ab', 'ba')).toBe(1);
    expect(editDistance('kitten', 'sitting')).toBe(3);
  });
});
