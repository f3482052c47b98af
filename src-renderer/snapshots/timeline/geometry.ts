import type { TimelineEdge, TimelineFork, TimelinePlace } from './layout.ts';

/** Heights of the rows below each other, px. */
export interface Rows {
  readonly lane: number;
  readonly lanesTop: number;
  /** Null when no size is known. */
  readonly sizesTop: number | null;
  readonly vmsTop: number;
  readonly eventsTop: number;
  readonly axisTop: number;
  readonly height: number;
}

export const SIZES_HEIGHT = 32;
export const VM_HEIGHT = 18;
export const EVENTS_HEIGHT = 22;
const TOP = 24;
const AXIS_HEIGHT = 38;
const SPACE = 8;

/** The rows of a timeline with that many lanes and VMs; many lanes are lower. */
export function rowsOf(facts: { readonly lanes: number; readonly sizes: boolean; readonly vms: number; readonly events: boolean }): Rows {
  const lane = facts.lanes > 5 ? 36 : 48;
  const lanesEnd = TOP + facts.lanes * lane + SPACE;
  const vmsTop = lanesEnd + (facts.sizes ? SIZES_HEIGHT + SPACE : 0);
  const eventsTop = vmsTop + (facts.vms > 0 ? facts.vms * VM_HEIGHT + SPACE : 0);
  const axisTop = eventsTop + (facts.events ? EVENTS_HEIGHT : 0);
  return { lane, lanesTop: TOP, sizesTop: facts.sizes ? lanesEnd : null, vmsTop, eventsTop, axisTop, height: axisTop + AXIS_HEIGHT };
}

/** Middle of a lane; the names stand above it. */
export function laneY(rows: Rows, lane: number): number {
  return rows.lanesTop + lane * rows.lane + rows.lane - 14;
}

/** Leaves the parent's lane in a short curve, then runs along the child's. */
function curve(x1: number, y1: number, x2: number, y2: number): string {
  if (y1 === y2) return `M${x1} ${y1}H${x2}`;
  const length = x2 - x1;
  const start = x1 + (length > 48 ? 10 : 0);
  const end = start + Math.min(26, x2 - start);
  const middle = (start + end) / 2;
  return `M${x1} ${y1}H${start}C${middle} ${y1} ${middle} ${y2} ${end} ${y2}H${x2}`;
}

/** SVG path of a line between states. */
export function edgePath(rows: Rows, edge: TimelineEdge): string {
  return curve(edge.x1, laneY(rows, edge.lane1), edge.x2, laneY(rows, edge.lane2));
}

/** SVG path of the line to the label of forks. */
export function forkPath(rows: Rows, fork: TimelineFork): string {
  return curve(fork.from.x, laneY(rows, fork.from.lane), fork.x, laneY(rows, fork.lane));
}

/** Whether something may be seen between two positions. */
export function isWithin({ from, to }: { readonly from: number; readonly to: number }, place: Pick<TimelinePlace, 'x'>): boolean {
  return place.x >= from && place.x <= to;
}
