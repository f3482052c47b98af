import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { TimelineEvent } from '../../../src-shared/snapshot/timeline.ts';
import { axisBreaks, axisTicks, eventMarks, leadingKind, placeLabels } from './marks.ts';

const HOUR = 3_600_000;

function event(at: number, kind: TimelineEvent['kind'], label: string = kind): TimelineEvent {
  return { at, kind, label };
}

describe('labels', () => {
  it('never overlap, and the first ones win', () => {
    const label = fc.record({ x: fc.nat(2_000), row: fc.nat(3), width: fc.integer({ min: 10, max: 150 }) });
    fc.assert(
      fc.property(fc.array(label, { maxLength: 60 }), (labels) => {
        const wanted = labels.map((one, index) => ({ ...one, key: String(index) }));
        const shown = placeLabels(wanted);
        const kept = wanted.filter(({ key }) => shown.has(key));
        if (wanted.length > 0) expect(shown.has('0')).toBe(true);
        for (const [index, one] of kept.entries()) {
          for (const other of kept.slice(index + 1).filter(({ row }) => row === one.row))
            expect(Math.abs(one.x - other.x)).toBeGreaterThanOrEqual((one.width + other.width) / 2);
        }
      }),
    );
  });
});

describe('events', () => {
  const moments = [
    { time: 0, x: 100 },
    { time: HOUR, x: 200 },
  ];

  it('stand at their time, and share a mark where they would touch', () => {
    const marks = eventMarks([event(HOUR / 2, 'deploy'), event(0, 'start'), event(HOUR * 0.51, 'collect')], moments);
    expect(marks.map(({ x, events }) => [Math.round(x), events.map(({ kind }) => kind)])).toEqual([
      [100, ['start']],
      [150, ['deploy', 'collect']],
    ]);
  });

  it('show a failure among others', () => {
    const [mark] = eventMarks([event(10, 'failure'), event(11, 'deploy')], moments);
    expect(mark === undefined ? undefined : leadingKind(mark)).toBe('failure');
  });
});

describe('axis', () => {
  const clock = (time: number): string => `${Math.floor(time / HOUR) % 24}:00`;
  const day = (time: number): string => `day ${Math.floor(time / HOUR / 24)}`;

  it('names the day where a new one begins, and leaves clocks out where there is no room', () => {
    const moments = [
      { time: 0, x: 0 },
      { time: HOUR, x: 10 },
      { time: 2 * HOUR, x: 60 },
      { time: 25 * HOUR, x: 160 },
      { time: 26 * HOUR, x: 300 },
    ];
    expect(axisTicks(moments, clock, day)).toEqual([
      { x: 0, clock: '0:00', day: 'day 0' },
      { x: 10, clock: null, day: null },
      { x: 60, clock: '2:00', day: null },
      { x: 160, clock: '1:00', day: 'day 1' },
    ]);
  });

  it('is broken in long gaps with room for saying so', () => {
    const moments = [
      { time: 0, x: 0 },
      { time: 48 * HOUR, x: 200 },
      { time: 49 * HOUR, x: 400 },
      { time: 99 * HOUR, x: 420 },
    ];
    expect(axisBreaks(moments)).toEqual([{ x: 100, milliseconds: 48 * HOUR }]);
  });
});
