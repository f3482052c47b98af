import type { TimelineEvent } from '../../../src-shared/snapshot/timeline.ts';
import { type Moment, xOf } from './layout.ts';

/** A text that wants to stand at a position; those of one row must not overlap. */
export interface WantedLabel {
  readonly key: string;
  /** Its middle, px. */
  readonly x: number;
  readonly row: number;
  readonly width: number;
}

/** Which of the labels can be shown without touching another. Earlier ones win. */
export function placeLabels(wanted: readonly WantedLabel[], space = 8): ReadonlySet<string> {
  const rows = new Map<number, WantedLabel[]>();
  const shown = new Set<string>();
  for (const label of wanted) {
    const row = rows.get(label.row) ?? [];
    if (row.some((other) => Math.abs(other.x - label.x) < (other.width + label.width) / 2 + space)) continue;
    rows.set(label.row, [...row, label]);
    shown.add(label.key);
  }
  return shown;
}

/** Events too near to each other for marks of their own. */
export interface EventMark {
  readonly x: number;
  /** Oldest first; never empty. */
  readonly events: readonly TimelineEvent[];
}

const NEAREST = 16;

/** Positions of events between the states of a timeline. */
export function eventMarks(events: readonly TimelineEvent[], moments: readonly Moment[]): readonly EventMark[] {
  const marks: { x: number; events: TimelineEvent[] }[] = [];
  for (const event of events.toSorted((a, b) => a.at - b.at)) {
    const x = xOf(moments, event.at);
    const last = marks.at(-1);
    if (last !== undefined && x - last.x < NEAREST) last.events.push(event);
    else marks.push({ x, events: [event] });
  }
  return marks;
}

/** The kind that a mark is drawn as: a failure is never hidden behind others. */
export function leadingKind(mark: EventMark): TimelineEvent['kind'] {
  return mark.events.some((event) => event.kind === 'failure') ? 'failure' : (mark.events.at(-1)?.kind ?? 'change');
}

/** A tick of the time axis. */
export interface AxisTick {
  readonly x: number;
  /** `14:05`; null where there is no room. */
  readonly clock: string | null;
  /** `22 Nov`, at the first clock of a day. */
  readonly day: string | null;
}

/** A stretch of time that is shown much shorter than it was. */
export interface AxisBreak {
  readonly x: number;
  readonly milliseconds: number;
}

const LONG_GAP = 12 * 3_600_000;
const CLOCK_WIDTH = 34;

/** Ticks at the states, clocks where they fit; the present (the last moment) has none. */
export function axisTicks(
  moments: readonly Moment[],
  clockOf: (time: number) => string,
  dayOf: (time: number) => string,
): readonly AxisTick[] {
  const ticks = moments.slice(0, -1);
  const wanted = ticks.map((moment, index) => ({ key: String(index), x: moment.x, row: 0, width: CLOCK_WIDTH }));
  const shown = placeLabels(wanted);
  let day: string | null = null;
  return ticks.map((moment, index) => {
    if (!shown.has(String(index))) return { x: moment.x, clock: null, day: null };
    const today = dayOf(moment.time);
    const isNew = today !== day;
    day = today;
    return { x: moment.x, clock: clockOf(moment.time), day: isNew ? today : null };
  });
}

/** Where the axis is broken: gaps of half a day and more that have room for saying so. */
export function axisBreaks(moments: readonly Moment[]): readonly AxisBreak[] {
  return moments.slice(1).flatMap((moment, index) => {
    const before = moments[index];
    if (before === undefined || moment.time - before.time < LONG_GAP || moment.x - before.x < CLOCK_WIDTH + 56) return [];
    return [{ x: (before.x + moment.x) / 2, milliseconds: moment.time - before.time }];
  });
}
