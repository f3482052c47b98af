import type { SnapshotState } from '../../src-shared/timeline.ts';

/** A positioned snapshot. `x` in px from the first point; lanes count from 0 downwards. */
export interface TimelinePoint {
  readonly snapshot: SnapshotState;
  readonly x: number;
  readonly lane: number;
}

/** The current state, as a point to the right of everything that it is based on. */
export interface TimelineNow {
  readonly x: number;
  readonly lane: number;
}

/** A line from a snapshot (null: from the start of its lane) to a state based on it. */
export interface TimelineEdge {
  readonly from: string | null;
  readonly to: string | 'now';
  readonly x1: number;
  readonly lane1: number;
  readonly x2: number;
  readonly lane2: number;
}

export interface Timeline {
  readonly points: readonly TimelinePoint[];
  readonly now: TimelineNow;
  readonly edges: readonly TimelineEdge[];
  readonly lanes: number;
  /** Distance from the first point to "now", px. */
  readonly width: number;
}

/** Room for a name above each point, and for a branch to leave its lane before the next name. */
export const MIN_GAP = 120;
export const MAX_GAP = 176;

/** Distance between neighbours: grows with the logarithm of the time between them, within readable limits. */
export function gapFor(milliseconds: number): number {
  const minutes = Math.max(0, milliseconds) / 60_000;
  return Math.min(MAX_GAP, Math.round(MIN_GAP + 8 * Math.log2(1 + minutes)));
}

interface Node {
  readonly key: string;
  readonly time: number;
  readonly parent: string | null;
  readonly snapshot: SnapshotState | null;
}

const NOW = '\0now';

/** Nodes in time order; a parent always precedes its children, even if clocks disagree. */
function inOrder(snapshots: readonly SnapshotState[], now: number): readonly Node[] {
  const names = new Set(snapshots.map((snapshot) => snapshot.name));
  const sorted = snapshots.toSorted((a, b) => a.createdAt - b.createdAt || a.name.localeCompare(b.name));
  const placed = new Set<string>();
  const order: Node[] = [];
  let rest = sorted;
  while (rest.length > 0) {
    const ready = rest.filter((one) => one.parent === null || !names.has(one.parent) || placed.has(one.parent));
    // A cycle of parents is not a tree: its oldest snapshot becomes a root.
    const next = ready[0] ?? rest[0];
    if (next === undefined) break;
    placed.add(next.name);
    const parent = ready.length > 0 && next.parent !== null && names.has(next.parent) ? next.parent : null;
    order.push({ key: next.name, time: next.createdAt, parent, snapshot: next });
    rest = rest.filter((one) => one !== next);
  }
  const current = snapshots.find((snapshot) => snapshot.current)?.name ?? null;
  return [...order, { key: NOW, time: Math.max(now, order.at(-1)?.time ?? now), parent: current, snapshot: null }];
}

/** Node → the child that continues its lane: the one that leads to the current state, else the first. */
function heirs(nodes: readonly Node[]): ReadonlyMap<string, string> {
  const parents = new Map(nodes.map((node) => [node.key, node.parent]));
  const heir = new Map<string, string>();
  for (const node of nodes) if (node.parent !== null && !heir.has(node.parent)) heir.set(node.parent, node.key);
  for (let key = NOW, parent = parents.get(key) ?? null; parent !== null; key = parent, parent = parents.get(key) ?? null)
    heir.set(parent, key);
  return heir;
}

/**
 * Lays out the snapshots: time runs to the right, each branch has its own lane, and the branch that leads to the current state keeps its
 * parent's lane. A lane is reused to the right of a branch that has ended. Pure; `now` in ms since the epoch.
 */
export function layoutTimeline(snapshots: readonly SnapshotState[], now: number): Timeline {
  const nodes = inOrder(snapshots, now);
  const heir = heirs(nodes);
  const xs = new Map<string, number>();
  let x = 0;
  nodes.forEach((node, index) => {
    const before = nodes[index - 1];
    if (before !== undefined) x += gapFor(node.time - before.time);
    xs.set(node.key, x);
  });

  function endOf(key: string): number {
    let last = key;
    for (let next = heir.get(last); next !== undefined; next = heir.get(last)) last = next;
    return xs.get(last) ?? 0;
  }

  const lanes = new Map<string, number>();
  const taken: { readonly from: number; readonly to: number }[][] = [];
  const position = (key: string | null): number => (key === null ? 0 : (xs.get(key) ?? 0));
  // Place the current state's branch first, so that it is the topmost of those that begin together.
  const line = new Set<string>();
  for (let key: string | null = NOW; key !== null; key = nodes.find((node) => node.key === key)?.parent ?? null) line.add(key);
  const starts = nodes.filter((node) => node.parent === null || heir.get(node.parent) !== node.key);
  for (const start of [...starts.filter((node) => line.has(node.key)), ...starts.filter((node) => !line.has(node.key))]) {
    const from = start.parent === null ? position(start.key) : position(start.parent);
    const to = endOf(start.key);
    const lowest = start.parent === null ? 0 : (lanes.get(start.parent) ?? 0) + 1;
    let lane = lowest;
    while (taken[lane]?.some((span) => span.from <= to && from <= span.to) === true) lane += 1;
    (taken[lane] ??= []).push({ from, to });
    for (let key: string | undefined = start.key; key !== undefined; key = heir.get(key)) lanes.set(key, lane);
  }

  const laneOf = (key: string): number => lanes.get(key) ?? 0;
  return {
    points: nodes.flatMap((node) =>
      node.snapshot === null ? [] : [{ snapshot: node.snapshot, x: position(node.key), lane: laneOf(node.key) }],
    ),
    now: { x: position(NOW), lane: laneOf(NOW) },
    edges: nodes.flatMap((node): TimelineEdge[] =>
      node.parent === null
        ? []
        : [
            {
              from: node.parent,
              to: node.key === NOW ? 'now' : node.key,
              x1: position(node.parent),
              lane1: laneOf(node.parent),
              x2: position(node.key),
              lane2: laneOf(node.key),
            },
          ],
    ),
    lanes: Math.max(1, ...nodes.map((node) => laneOf(node.key) + 1)),
    width: position(NOW),
  };
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
