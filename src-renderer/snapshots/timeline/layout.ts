import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import { type HistoryNode, heirsOf, NOW, ORIGIN, type Span, takeLane } from './history.ts';

/** A positioned snapshot. `x` in px from the left edge; lanes count from 0 downwards. */
export interface TimelinePoint {
  readonly snapshot: SnapshotState;
  readonly x: number;
  readonly lane: number;
  /** Px to the nearest neighbour in time: what may be drawn around it without touching another. */
  readonly room: number;
}

/** A position that is not a snapshot's. */
export interface TimelinePlace {
  readonly x: number;
  readonly lane: number;
}

/** A line from a state to one based on it. */
export interface TimelineEdge {
  readonly from: string;
  readonly to: string;
  readonly x1: number;
  readonly lane1: number;
  readonly x2: number;
  readonly lane2: number;
}

/** Environments that went on elsewhere from one snapshot, or from what was the present at one time. */
export interface ForkGroup {
  readonly key: string;
  /** Null: the present at that time. */
  readonly snapshot: string | null;
  /** ms since the epoch. */
  readonly at: number;
  /** Their ids; never empty. */
  readonly environments: readonly string[];
  /** Of its label, px. */
  readonly width: number;
}

/** A positioned label of forks. */
export interface TimelineFork extends ForkGroup, TimelinePlace {
  /** Where the line to it begins. */
  readonly from: TimelinePlace;
}

/** A time and its position; between two of them, time runs evenly. */
export interface Moment {
  readonly time: number;
  readonly x: number;
}

export interface Timeline {
  readonly points: readonly TimelinePoint[];
  readonly now: TimelinePlace;
  /** The mark of the environment that this one was forked from. */
  readonly origin: TimelinePlace | null;
  readonly edges: readonly TimelineEdge[];
  readonly forks: readonly TimelineFork[];
  readonly lanes: number;
  /** Of everything, px. */
  readonly width: number;
  /** In order, the present last. */
  readonly moments: readonly Moment[];
}

/** Room beside the outermost points, for half of a label. */
export const MARGIN = 72;
/** Width of the mark of the environment that this one was forked from. */
export const ORIGIN_WIDTH = 168;
/** Points never come nearer to each other. */
export const CLOSEST = 12;
/** From a point to the label of its forks. */
export const FORK_OFFSET = 36;
export const MIN_SCALE = 0.1;
export const MAX_SCALE = 4;
const LONGEST = 240;

/** Distance at scale 1 between states with that much time between them: grows with its logarithm, so that long gaps stay readable. */
export function gapFor(milliseconds: number): number {
  const minutes = Math.max(0, milliseconds) / 60_000;
  return Math.min(LONGEST, Math.round(64 + 13 * Math.log2(1 + minutes)));
}

function gapsOf(nodes: readonly HistoryNode[]): readonly number[] {
  return nodes.slice(1).map((node, index) => (nodes[index]?.key === ORIGIN ? 0 : gapFor(node.time - (nodes[index]?.time ?? 0))));
}

function widthAt(gaps: readonly number[], scale: number): number {
  return gaps.reduce((sum, gap) => sum + (gap === 0 ? ORIGIN_WIDTH : Math.max(CLOSEST, gap * scale)), 2 * MARGIN);
}

/** The scale at which the history fills that width, within limits. */
export function fitScale(nodes: readonly HistoryNode[], width: number, least = MIN_SCALE, most = MAX_SCALE): number {
  const gaps = gapsOf(nodes);
  let [low, high] = [least, most];
  if (widthAt(gaps, low) >= width) return low;
  if (widthAt(gaps, high) <= width) return high;
  while (high - low > 0.001) {
    const middle = (low + high) / 2;
    if (widthAt(gaps, middle) > width) high = middle;
    else low = middle;
  }
  return low;
}

/**
 * Lays out a history: time runs to the right, each branch has its own lane, and the branch that leads to the present keeps its parent's
 * lane. A lane is reused to the right of a branch that has ended. Forks hang below the state that they go on from. Pure.
 */
export function layoutTimeline(nodes: readonly HistoryNode[], scale: number, forks: readonly ForkGroup[] = []): Timeline {
  const gaps = gapsOf(nodes);
  const heir = heirsOf(nodes);
  const parents = new Map(nodes.map((node) => [node.key, node.parent]));
  const xs = new Map<string, number>();
  let x = MARGIN;
  nodes.forEach((node, index) => {
    const gap = gaps[index - 1];
    if (gap !== undefined) x += gap === 0 ? ORIGIN_WIDTH : Math.max(CLOSEST, gap * scale);
    xs.set(node.key, x);
  });
  const at = (key: string): number => xs.get(key) ?? 0;

  const lanes = new Map<string, number>();
  const taken: Span[][] = [];
  // The present's branch is placed first, so that it is the uppermost of those that begin together.
  const line = new Set<string>();
  for (let key: string | null = NOW; key !== null; key = parents.get(key) ?? null) line.add(key);
  const starts = nodes.filter((node) => node.parent === null || heir.get(node.parent) !== node.key);
  for (const start of [...starts.filter((node) => line.has(node.key)), ...starts.filter((node) => !line.has(node.key))]) {
    const branch: string[] = [];
    for (let key: string | undefined = start.key; key !== undefined; key = heir.get(key)) branch.push(key);
    const span = { from: at(start.parent ?? start.key), to: at(branch.at(-1) ?? start.key) };
    const lane = takeLane(taken, span, start.parent === null ? 0 : (lanes.get(start.parent) ?? 0) + 1);
    for (const key of branch) lanes.set(key, lane);
  }
  const laneOf = (key: string): number => lanes.get(key) ?? 0;
  const place = (key: string): TimelinePlace => ({ x: at(key), lane: laneOf(key) });

  const edges = nodes.flatMap((node): TimelineEdge[] => {
    if (node.parent === null) return [];
    const [from, to] = [place(node.parent), place(node.key)];
    return [{ from: node.parent, to: node.key, x1: from.x, lane1: from.lane, x2: to.x, lane2: to.lane }];
  });
  const moments = nodes.map((node) => ({ time: node.time, x: at(node.key) }));

  /** Where the present was at a time: on the line that leads to today's if that has no gap there, else on another. */
  function presentAt(time: number): TimelinePlace {
    const position = Math.max(MARGIN, xOf(moments, time));
    const passing = edges.filter((edge) => edge.x1 <= position && position <= edge.x2);
    const edge = passing.find(({ to }) => line.has(to)) ?? passing[0];
    return { x: position, lane: edge?.lane2 ?? laneOf(NOW) };
  }
  const hung = forks.map((fork): TimelineFork => {
    // Of a snapshot that was deleted nothing is left but the time.
    const from = fork.snapshot !== null && xs.has(fork.snapshot) ? place(fork.snapshot) : presentAt(fork.at);
    const left = from.x + FORK_OFFSET;
    const lane = takeLane(taken, { from: from.x, to: left + fork.width + 16 }, from.lane + 1);
    return { ...fork, from, x: left, lane };
  });
  return {
    points: nodes.flatMap((node, index): TimelinePoint[] => {
      if (node.snapshot === null) return [];
      const room = [nodes[index - 1], nodes[index + 1]].map((other) =>
        other === undefined ? Infinity : Math.abs(at(other.key) - at(node.key)),
      );
      return [{ snapshot: node.snapshot, ...place(node.key), room: Math.min(...room) }];
    }),
    now: place(NOW),
    origin: nodes[0]?.key === ORIGIN ? place(ORIGIN) : null,
    edges,
    forks: hung,
    lanes: Math.max(1, taken.length),
    width: Math.max(at(NOW) + MARGIN, ...hung.map((fork) => fork.x + fork.width + 16)),
    moments,
  };
}

/** Where a time is on the timeline. Before the first state: at most half a margin left of it. */
export function xOf(moments: readonly Moment[], time: number): number {
  const first = moments[0];
  if (first === undefined) return 0;
  if (time <= first.time) return time === first.time ? first.x : first.x - MARGIN / 2;
  const index = moments.findIndex((moment) => moment.time >= time);
  const [before, after] = [moments[index - 1], moments[index]];
  if (before === undefined || after === undefined) return moments.at(-1)?.x ?? 0;
  return before.x + ((time - before.time) / (after.time - before.time)) * (after.x - before.x);
}

/** The position after zooming of what was at `x` before it: keeps what is under the pointer there. */
export function moved(before: readonly Moment[], after: readonly Moment[], x: number): number {
  const index = before.findIndex((moment) => moment.x >= x);
  const [left, right] = [before[index - 1], before[index]];
  const [newLeft, newRight] = [after[index - 1], after[index]];
  if (left !== undefined && right !== undefined && newLeft !== undefined && newRight !== undefined)
    return newLeft.x + ((x - left.x) / (right.x - left.x)) * (newRight.x - newLeft.x);
  const [end, newEnd] = index === 0 ? [before[0], after[0]] : [before.at(-1), after.at(-1)];
  return x + (newEnd?.x ?? 0) - (end?.x ?? 0);
}

/** The point that a key moves to: along time, or to the nearest point of the next lane. Null when there is none. */
export function neighbour(timeline: Timeline, name: string, key: string): string | null {
  const { points } = timeline;
  const index = points.findIndex((point) => point.snapshot.name === name);
  const here = points[index];
  if (here === undefined) return points.at(-1)?.snapshot.name ?? null;
  switch (key) {
    case 'ArrowLeft':
      return points[index - 1]?.snapshot.name ?? null;
    case 'ArrowRight':
      return points[index + 1]?.snapshot.name ?? null;
    case 'Home':
      return points[0]?.snapshot.name ?? null;
    case 'End':
      return points.at(-1)?.snapshot.name ?? null;
    case 'ArrowUp':
    case 'ArrowDown': {
      const step = key === 'ArrowUp' ? -1 : 1;
      for (let lane = here.lane + step; lane >= 0 && lane < timeline.lanes; lane += step) {
        const there = points.filter((point) => point.lane === lane);
        const nearest = there.toSorted((a, b) => Math.abs(a.x - here.x) - Math.abs(b.x - here.x))[0];
        if (nearest !== undefined) return nearest.snapshot.name;
      }
      return null;
    }
    default:
      return null;
  }
}
