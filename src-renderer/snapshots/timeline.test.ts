import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotState } from '../../src-shared/timeline.ts';
import { PLAIN_POINT } from '../dev/demo-values.ts';
import { freeName, nameProblem } from './snapshot-name.ts';
import { gapFor, layoutTimeline, MAX_GAP, MIN_GAP, neighbour } from './timeline.ts';

const MINUTE = 60_000;

function snapshot(name: string, at: number, parent: string | null, current = false): SnapshotState {
  return { ...PLAIN_POINT, name, createdAt: at * MINUTE, parent, vms: { web: 'memory' }, current };
}

function lanes(snapshots: readonly SnapshotState[]): Record<string, number> {
  const layout = layoutTimeline(snapshots, 1_000 * MINUTE);
  return { ...Object.fromEntries(layout.points.map((point) => [point.snapshot.name, point.lane])), now: layout.now.lane };
}

describe('timeline layout', () => {
  it('has only "now" without snapshots', () => {
    expect(layoutTimeline([], 5)).toEqual({ points: [], now: { x: 0, lane: 0 }, edges: [], lanes: 1, width: 0 });
  });

  it('puts a straight history on one lane, oldest first', () => {
    const layout = layoutTimeline([snapshot('b', 10, 'a', true), snapshot('a', 0, null)], 20 * MINUTE);
    expect(layout.points.map((point) => point.snapshot.name)).toEqual(['a', 'b']);
    expect(layout.lanes).toBe(1);
    expect(layout.edges.map((edge) => [edge.from, edge.to])).toEqual([
      ['a', 'b'],
      ['b', 'now'],
    ]);
  });

  it('keeps the branch that leads to the present on its parent’s lane', () => {
    expect(lanes([snapshot('a', 0, null), snapshot('old', 5, 'a'), snapshot('new', 9, 'a', true)])).toEqual({
      a: 0,
      new: 0,
      now: 0,
      old: 1,
    });
    expect(lanes([snapshot('a', 0, null, true), snapshot('b', 5, 'a')])).toEqual({ a: 0, b: 1, now: 0 });
  });

  it('reuses a lane after a branch that ended', () => {
    const result = lanes([
      snapshot('a', 0, null),
      snapshot('x', 1, 'a'),
      snapshot('b', 2, 'a'),
      snapshot('c', 3, 'b'),
      snapshot('y', 4, 'c'),
      snapshot('d', 5, 'c', true),
    ]);
    expect(result).toEqual({ a: 0, b: 0, c: 0, d: 0, now: 0, x: 1, y: 1 });
  });

  it('shows a child of a removed snapshot as a root', () => {
    const layout = layoutTimeline([snapshot('b', 2, 'removed', true)], 3 * MINUTE);
    expect(layout.edges).toHaveLength(1);
    expect(layout.points).toHaveLength(1);
  });

  it('survives a cycle of parents', () => {
    expect(layoutTimeline([snapshot('a', 0, 'b'), snapshot('b', 1, 'a')], 2 * MINUTE).points).toHaveLength(2);
  });

  it('keeps gaps readable', () => {
    expect(gapFor(0)).toBe(MIN_GAP);
    expect(gapFor(-5)).toBe(MIN_GAP);
    expect(gapFor(10 * MINUTE)).toBeGreaterThan(gapFor(MINUTE));
    expect(gapFor(1e12)).toBe(MAX_GAP);
  });

  it('never lets two points share a place, and runs every line to the right', () => {
    const histories = fc
      .array(fc.tuple(fc.nat(500), fc.nat(100)), { maxLength: 20 })
      .map((rows) =>
        rows.map(
          ([at, pick], index): SnapshotState =>
            snapshot(`s${index}`, at, index === 0 || pick % 5 === 0 ? null : `s${pick % index}`, index === rows.length - 1),
        ),
      );
    fc.assert(
      fc.property(histories, (history) => {
        const layout = layoutTimeline(history, 501 * MINUTE);
        const places = layout.points.map((point) => `${point.x}/${point.lane}`);
        expect(new Set(places).size).toBe(history.length);
        for (const edge of layout.edges) expect(edge.x2).toBeGreaterThan(edge.x1);
        // No point lies on a lane between the ends of an edge on that lane.
        for (const edge of layout.edges.filter((one) => one.lane1 === one.lane2)) {
          expect(layout.points.filter((point) => point.lane === edge.lane1 && point.x > edge.x1 && point.x < edge.x2)).toEqual([]);
        }
      }),
    );
  });
});

describe('keyboard', () => {
  const layout = layoutTimeline([snapshot('a', 0, null), snapshot('b', 5, 'a'), snapshot('c', 9, 'a', true)], 20 * MINUTE);

  it.each([
    ['a', 'ArrowRight', 'b'],
    ['b', 'ArrowRight', 'c'],
    ['c', 'ArrowRight', null],
    ['b', 'ArrowLeft', 'a'],
    ['c', 'ArrowDown', 'b'],
    ['b', 'ArrowUp', 'c'],
    ['c', 'Home', 'a'],
    ['a', 'End', 'c'],
    ['gone', 'ArrowLeft', 'c'],
  ])('from %s by %s to %s', (from, key, to) => {
    expect(neighbour(layout, from, key)).toBe(to);
  });
});

describe('free names', () => {
  it('counts up', () => {
    expect(freeName('snapshot-1', [])).toBe('snapshot-1');
    expect(freeName('snapshot-1', ['snapshot-1', 'snapshot-2'])).toBe('snapshot-3');
    expect(freeName('before-x', ['before-x'])).toBe('before-x-2');
  });
});

describe('snapshot names', () => {
  it.each(['a', 'snapshot-1', 'v1.2_x', '0'])('takes %s', (name) => {
    expect(nameProblem(name, ['other'])).toBeUndefined();
  });

  it.each(['', '-a', '.a', 'a b', 'a/b', 'ä', 'x'.repeat(65), 'other'])('refuses "%s"', (name) => {
    expect(nameProblem(name, ['other'])).toEqual(expect.any(String));
  });
});
