import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';

/** The environment that this one is a fork of. */
export interface Origin {
  /** Its uuid. */
  readonly id: string;
  /** Null when it is not known here any more. */
  readonly name: string | null;
  /** Null: its present at that time. */
  readonly snapshot: string | null;
  /** When this one began, ms since the epoch. */
  readonly at: number;
}

/** A state in the environment's history: its beginning, a snapshot, or the present. */
export interface HistoryNode {
  /** Name of the snapshot, `BEGIN`, `ORIGIN` or `NOW`. */
  readonly key: string;
  /** ms since the epoch; never less than that of the node before. */
  readonly time: number;
  /** Key of the node that it is based on; null for a root. */
  readonly parent: string | null;
  /** Null for the beginning and the present. */
  readonly snapshot: SnapshotState | null;
}

/** Key of the present. Snapshots cannot have this name. */
export const NOW = '\0now';
/** Key of the beginning in another environment. */
export const ORIGIN = '\0origin';
/** Key of the first thing that is known to have happened, if that was before the first snapshot. */
export const BEGIN = '\0begin';

export interface HistoryFacts {
  readonly now: number;
  /** When it began in another environment; null when it did not. */
  readonly forkedAt: number | null;
  /** When the first event happened; null when there was none. */
  readonly since: number | null;
}

/** The history in order of time, the present last. A parent always comes before its children, even if clocks disagree. */
export function historyOf(snapshots: readonly SnapshotState[], facts: HistoryFacts): readonly HistoryNode[] {
  const { now, forkedAt, since } = facts;
  const names = new Set(snapshots.map((snapshot) => snapshot.name));
  const placed = new Set<string>();
  const order: HistoryNode[] = [];
  let time = Number.NEGATIVE_INFINITY;
  function add(key: string, at: number, parent: string | null, snapshot: SnapshotState | null): void {
    time = Math.max(time, at);
    order.push({ key, time, parent, snapshot });
  }
  let rest = snapshots.toSorted((a, b) => a.createdAt - b.createdAt || a.name.localeCompare(b.name));
  const first = rest[0]?.createdAt ?? now;
  const begin = forkedAt !== null ? ORIGIN : since !== null && since < first ? BEGIN : null;
  if (begin !== null) add(begin, Math.min(first, forkedAt ?? since ?? first), null, null);
  while (rest.length > 0) {
    const ready = rest.find((one) => one.parent === null || !names.has(one.parent) || placed.has(one.parent));
    // A cycle of parents is not a tree: its oldest snapshot becomes a root.
    const next = ready ?? rest[0];
    if (next === undefined) break;
    placed.add(next.name);
    const parent = ready !== undefined && next.parent !== null && names.has(next.parent) ? next.parent : begin;
    add(next.name, next.createdAt, parent, next);
    rest = rest.filter((one) => one !== next);
  }
  add(NOW, Math.max(now, time), snapshots.find((snapshot) => snapshot.current)?.name ?? begin, null);
  return order;
}

/** Node → the child that continues its lane: the one that leads to the present, else the first. */
export function heirsOf(nodes: readonly HistoryNode[]): ReadonlyMap<string, string> {
  const parents = new Map(nodes.map((node) => [node.key, node.parent]));
  const heir = new Map<string, string>();
  for (const node of nodes) if (node.parent !== null && !heir.has(node.parent)) heir.set(node.parent, node.key);
  for (let key = NOW, parent = parents.get(key) ?? null; parent !== null; key = parent, parent = parents.get(key) ?? null)
    heir.set(parent, key);
  return heir;
}

/** A piece of a lane that nothing else may use. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** The uppermost lane from `lowest` on that is free over the whole span, which is then taken. */
export function takeLane(taken: Span[][], span: Span, lowest: number): number {
  let lane = lowest;
  while (taken[lane]?.some((other) => other.from <= span.to && span.from <= other.to) === true) lane += 1;
  while (taken.length <= lane) taken.push([]);
  taken[lane]?.push(span);
  return lane;
}
