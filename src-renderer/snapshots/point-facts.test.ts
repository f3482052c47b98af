import { describe, expect, it } from 'vitest';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { PLAIN_POINT } from '../dev/demo-timeline.ts';
import { bytesOf, contentOf, describePoint, forkProblem, formatShort, measuredSentence, totalOf } from './point-facts.ts';

const MIB = 1024 ** 2;
const POINT: SnapshotState = {
  ...PLAIN_POINT,
  name: 'clean',
  createdAt: 0,
  parent: null,
  current: false,
  vms: { web: 'memory', db: 'memory' },
  sizes: { web: { disk: MIB, memory: 40 * MIB }, db: { disk: 2 * MIB, memory: 43 * MIB } },
  measured: { mechanism: 'background', stillMs: { web: 48, db: 31 }, skewMs: 3, memory: { web: 40 * MIB, db: 43 * MIB }, durationMs: 812 },
};

describe('facts about a snapshot', () => {
  it('say what taking it cost', () => {
    expect(measuredSentence(POINT)).toBe('Stood still 48 ms (longest), skew 3 ms, 83 MiB memory, 0.8 s');
    expect(measuredSentence({ ...POINT, measured: null })).toBe('');
    const off = { mechanism: null, stillMs: {}, skewMs: 0, memory: {}, durationMs: 210 };
    expect(measuredSentence({ ...POINT, measured: off })).toBe('Took 210 ms');
    expect(measuredSentence({ ...POINT, measured: { ...off, stillMs: { web: 9 }, memory: { web: MIB } } })).toBe(
      'Stood still 9 ms, 1 MiB memory, 210 ms',
    );
  });

  it('add up sizes', () => {
    expect(bytesOf(POINT)).toBe(86 * MIB);
    expect(totalOf([POINT, POINT])).toBe('2 snapshots · 172 MiB');
    expect(totalOf([{ ...POINT, sizes: {} }])).toBe('1 snapshot');
  });

  it.each([
    [{ web: 'memory', db: 'memory' }, 'with memory'],
    [{ web: 'disk' }, 'disks only'],
    [{ web: 'memory', db: 'disk' }, '1 of 2 with memory'],
  ] as const)('name the content of %o', (vms, words) => {
    expect(contentOf({ ...POINT, vms })).toBe(words);
  });

  it('tell in words what the picture shows', () => {
    const words = describePoint({ ...POINT, pinned: true, automatic: true, missing: ['db'], tags: ['x', 'y'], current: true }, 0);
    expect(words).toMatch(/^clean, \d\d:\d\d, 2 VMs, with memory, 86 MiB, pinned, automatic, files missing of db, tags x, y, the present/);
  });

  it('say why it cannot be forked', () => {
    expect(forkProblem(POINT)).toBeUndefined();
    expect(forkProblem({ ...POINT, missing: ['db'] })).toContain('db');
    expect(forkProblem({ ...POINT, kind: 'internal' })).toContain('inside');
  });

  it.each([
    [3, '3 ms'],
    [812, '0.8 s'],
    [9_960, '10 s'],
  ])('show %s ms as %s', (milliseconds, words) => {
    expect(formatShort(milliseconds)).toBe(words);
  });
});
