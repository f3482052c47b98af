import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import { PLAIN_POINT } from '../../dev/demo-timeline.ts';
import { historyOf } from './history.ts';
import {
  CLOSEST,
  type ForkGroup,
  fitScale,
  gapFor,
  layoutTimeline,
  MARGIN,
  MAX_SCALE,
  MIN_SCALE,
  moved,
  neighbour,
  ORIGIN_WIDTH,
  type Timeline,
  xOf,
} from './layout.ts';

const MINUTE = 60_000;

function snapshot(name: string, at: number, parent: string | null, current = false): SnapshotState {
  return { ...PLAIN_POINT, name, createdAt: at * MINUTE, parent, vms: { web: 'memory' }, current };
}

interface Facts {
  readonly forkedAt?: number;
  readonly since?: number;
  readonly scale?: number;
  readonly forks?: readonly ForkGroup[];
}

function layoutOf(snapshots: readonly SnapshotState[], { forkedAt, since, scale = 1, forks = [] }: Facts = {}): Timeline {
  const facts = {
    now: 1_000 * MINUTE,
    forkedAt: forkedAt === undefined ? null : forkedAt * MINUTE,
    since: since === undefined ? null : since * MINUTE,
  };
  return layoutTimeline(historyOf(snapshots, facts), scale, forks);
}

function lanes(snapshots: readonly SnapshotState[]): Record<string, number> {
  const layout = layoutOf(snapshots);
  return { ...Object.fromEntries(layout.points.map((point) => [point.snapshot.name, point.lane])), now: layout.now.lane };
}

function fork(id: string, snapshotName: string | null, at = 0): ForkGroup {
  return { key: id, snapshot: snapshotName, at: at * MINUTE, environments: [id], width: 100 };
}

const histories = fc
  .array(fc.tuple(fc.nat(500), fc.nat(100)), { maxLength: 20 })
  .map((rows) =>
    rows.map(
      ([at, pick], index): SnapshotState =>
        snapshot(`s${index}`, at, index === 0 || pick % 5 === 0 ? null : `s${pick % index}`, index === rows.length - 1),
    ),
  );

describe('timeline layout', () => {
  it('has only "now" without snapshots', () => {
    expect(layoutOf([])).toMatchObject({ points: [], now: { x: MARGIN, lane: 0 }, origin: null, edges: [], lanes: 1, width: 2 * MARGIN });
  });

  it('puts a straight history on one lane, oldest first', () => {
    const layout = layoutOf([snapshot('b', 10, 'a', true), snapshot('a', 0, null)]);
    expect(layout.points.map((point) => point.snapshot.name)).toEqual(['a', 'b']);
    expect(layout.lanes).toBe(1);
    expect(layout.edges.map((edge) => [edge.x1, edge.x2])).toEqual([
      [layout.points[0]?.x, layout.points[1]?.x],
      [layout.points[1]?.x, layout.now.x],
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
    const layout = layoutOf([snapshot('b', 2, 'removed', true)]);
    expect(layout.edges).toHaveLength(1);
    expect(layout.points).toHaveLength(1);
  });

  it('survives a cycle of parents', () => {
    expect(layoutOf([snapshot('a', 0, 'b'), snapshot('b', 1, 'a')]).points).toHaveLength(2);
  });

  it('begins with the first event when that was before the first snapshot', () => {
    const layout = layoutOf([snapshot('a', 60, null, true)], { since: 0 });
    expect(layout.edges).toHaveLength(2);
    expect(layout.points[0]?.x).toBe(MARGIN + gapFor(60 * MINUTE));
    expect(layoutOf([snapshot('a', 60, null, true)], { since: 90 }).points[0]?.x).toBe(MARGIN);
  });

  it('begins at the environment that it was forked from', () => {
    const layout = layoutOf([snapshot('a', 60, null, true)], { forkedAt: 70, scale: 0.5 });
    expect(layout.origin).toEqual({ x: MARGIN, lane: 0 });
    expect(layout.points[0]?.x).toBe(MARGIN + ORIGIN_WIDTH);
    // From the present of the other one: nothing is between it and today.
    expect(layoutOf([], { forkedAt: 70 }).now.x).toBe(MARGIN + ORIGIN_WIDTH);
  });

  it('hangs forks below their snapshot, on a lane that is free for their whole label', () => {
    const history = [snapshot('a', 0, null), snapshot('side', 5, 'a'), snapshot('b', 9, 'a', true)];
    const layout = layoutOf(history, { forks: [fork('one', 'a'), fork('two', 'side')] });
    const [a, side] = layout.points;
    const [one, two] = layout.forks;
    expect(side?.lane).toBe(1);
    expect(one).toMatchObject({ from: { x: a?.x, lane: 0 }, lane: 2 });
    expect(two).toMatchObject({ from: { x: side?.x, lane: 1 }, lane: 3 });
    expect(layout.lanes).toBe(4);
  });

  it('hangs a fork of the present at its time, also when its snapshot is gone', () => {
    const history = [snapshot('a', 0, null), snapshot('b', 100, 'a', true)];
    const layout = layoutOf(history, { forks: [fork('one', null, 50), fork('two', 'removed', 50)] });
    const middle = ((layout.points[0]?.x ?? 0) + (layout.points[1]?.x ?? 0)) / 2;
    expect(layout.forks.map(({ from }) => from)).toEqual([
      { x: middle, lane: 0 },
      { x: middle, lane: 0 },
    ]);
    expect(layout.forks.map(({ lane }) => lane)).toEqual([1, 2]);
  });

  it('keeps labels of forks right of the present inside', () => {
    const layout = layoutOf([snapshot('a', 999, null, true)], { forks: [fork('one', 'a')] });
    expect(layout.width).toBeGreaterThanOrEqual((layout.forks[0]?.x ?? 0) + 100);
  });

  it('keeps gaps readable', () => {
    expect(gapFor(0)).toBe(gapFor(-5));
    expect(gapFor(10 * MINUTE)).toBeGreaterThan(gapFor(MINUTE));
    expect(gapFor(1e12)).toBeLessThan(4 * gapFor(0));
  });

  it('never lets two points come too near, and runs every line to the right', () => {
    fc.assert(
      fc.property(histories, fc.double({ min: MIN_SCALE, max: MAX_SCALE, noNaN: true }), (history, scale) => {
        const layout = layoutOf(history, { scale });
        const xs = layout.points.map((point) => point.x);
        expect(layout.points).toHaveLength(history.length);
        for (const [index, x] of xs.slice(1).entries()) expect(x - (xs[index] ?? 0)).toBeGreaterThanOrEqual(CLOSEST - 0.001);
        for (const edge of layout.edges) expect(edge.x2).toBeGreaterThan(edge.x1);
        // No point lies on a lane between the ends of an edge on that lane.
        for (const edge of layout.edges.filter((one) => one.lane1 === one.lane2)) {
          expect(layout.points.filter((point) => point.lane === edge.lane1 && point.x > edge.x1 && point.x < edge.x2)).toEqual([]);
        }
      }),
    );
  });
});

describe('zoom', () => {
  const history = (number: number): SnapshotState[] =>
    Array.from({ length: number }, (_, index) =>
      snapshot(`s${index}`, index * 30, index === 0 ? null : `s${index - 1}`, index === number - 1),
    );
  const nodesOf = (number: number) => historyOf(history(number), { now: 30 * number * MINUTE, forkedAt: null, since: null });

  it('fills the width exactly where the limits allow it', () => {
    const nodes = nodesOf(8);
    const scale = fitScale(nodes, 1_000);
    expect(layoutTimeline(nodes, scale).width).toBeGreaterThan(990);
    expect(layoutTimeline(nodes, scale).width).toBeLessThanOrEqual(1_000);
    expect(fitScale(nodesOf(200), 1_000, 0.35)).toBe(0.35);
    expect(fitScale(nodesOf(1), 1_000, 0.35, 1.8)).toBe(1.8);
  });

  it('keeps what is under the pointer', () => {
    const nodes = nodesOf(5);
    const [small, large] = [layoutTimeline(nodes, 1), layoutTimeline(nodes, 2)];
    for (const [index, point] of small.points.entries())
      expect(moved(small.moments, large.moments, point.x)).toBeCloseTo(large.points[index]?.x ?? 0);
    const between = ((small.points[1]?.x ?? 0) + (small.points[2]?.x ?? 0)) / 2;
    expect(moved(small.moments, large.moments, between)).toBeCloseTo(((large.points[1]?.x ?? 0) + (large.points[2]?.x ?? 0)) / 2);
    expect(moved(small.moments, large.moments, small.now.x + 10)).toBeCloseTo(large.now.x + 10);
    expect(moved(small.moments, large.moments, 5)).toBeCloseTo(5);
  });
});

describe('positions of times', () => {
  const { moments, points, now } = layoutOf([snapshot('a', 0, null), snapshot('b', 100, 'a', true)]);

  it('run evenly between states', () => {
    expect(xOf(moments, 0)).toBe(points[0]?.x);
    expect(xOf(moments, 25 * MINUTE)).toBeCloseTo((points[0]?.x ?? 0) + ((points[1]?.x ?? 0) - (points[0]?.x ?? 0)) / 4);
    expect(xOf(moments, 5_000 * MINUTE)).toBe(now.x);
    expect(xOf(moments, -MINUTE)).toBeLessThan(points[0]?.x ?? 0);
    expect(xOf([], 5)).toBe(0);
  });
});

describe('keyboard', () => {
  const layout = layoutOf([snapshot('a', 0, null), snapshot('b', 5, 'a'), snapshot('c', 9, 'a', true)]);

  it.each([
    ['a', 'ArrowRight', 'b'],
    ['b', 'ArrowRight', 'c'],
    ['c', 'ArrowRight', null],
    ['b', 'ArrowLeft', 'a'],
    ['c', 'ArrowDown', 'b'],
    ['b', 'ArrowUp', 'c'],
    ['c', 'Home', 'a'],
    ['a', 'End', 'c'],
    ['a', 'x', null],
    ['gone', 'ArrowLeft', 'c'],
  ])('from %s by %s to %s', (from, key, to) => {
    expect(neighbour(layout, from, key)).toBe(to);
  });
});
