import type { ReactElement } from 'react';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import { formatClock, formatDuration } from '../../format.ts';
import { Tip } from '../../ui/feedback/tip.tsx';
import { EVENT_ICONS } from '../event-icons.ts';
import { bytesOf, damageOfVm, sizeOf } from '../point-facts.ts';
import { EVENTS_HEIGHT, isWithin, type Rows, SIZES_HEIGHT, VM_HEIGHT } from './geometry.ts';
import type { TimelinePoint } from './layout.ts';
import { type AxisBreak, type AxisTick, type EventMark, leadingKind } from './marks.ts';
import styles from './timeline-view.module.css';

/** The part of the timeline that is drawn: what can be seen, and some more on both sides. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

/** The largest of the sizes, to which the bars are drawn. */
export function largestOf(snapshots: readonly SnapshotState[]): number {
  return Math.max(0, ...snapshots.map(bytesOf));
}

/** One bar per snapshot: its disks, and its memory on top. */
export function SizeBars(props: {
  readonly points: readonly TimelinePoint[];
  readonly top: number;
  readonly largest: number;
}): ReactElement {
  const { top, largest } = props;
  const bottom = top + SIZES_HEIGHT;
  const heightOf = (bytes: number): number => (bytes === 0 || largest === 0 ? 0 : Math.max(1.5, (bytes / largest) * (SIZES_HEIGHT - 2)));
  return (
    <>
      {props.points.map(({ snapshot, x, room }) => {
        const { disk, memory } = sizeOf(snapshot);
        const width = Math.max(4, Math.min(12, room * 0.6));
        const [low, high] = [heightOf(disk), heightOf(memory)];
        return (
          <g key={snapshot.name}>
            {low > 0 && <rect className={styles.diskBar} x={x - width / 2} y={bottom - low} width={width} height={low} rx={1} />}
            {high > 0 && <rect className={styles.memoryBar} x={x - width / 2} y={bottom - low - high} width={width} height={high} rx={1} />}
          </g>
        );
      })}
    </>
  );
}

/** One row per VM: what each snapshot has of it. */
export function VmRows(props: {
  readonly points: readonly TimelinePoint[];
  readonly vms: readonly string[];
  readonly top: number;
}): ReactElement {
  return (
    <>
      {props.vms.map((vm, row) => {
        const y = props.top + row * VM_HEIGHT + VM_HEIGHT / 2;
        return (
          <g key={vm}>
            <line className={styles.vmLine} x1={0} x2="100%" y1={y} y2={y} />
            {props.points.map(({ snapshot, x }) => {
              const kind = snapshot.vms[vm];
              if (kind === undefined) return null;
              const place = `translate(${x} ${y})`;
              if (damageOfVm(snapshot, vm) !== undefined)
                return <path key={snapshot.name} className={styles.vmMissing} d="M-3 -3L3 3M3 -3L-3 3" transform={place} />;
              return (
                <rect
                  key={snapshot.name}
                  className={kind === 'memory' ? styles.vmMemory : styles.vmDisk}
                  x={-3.5}
                  y={-3.5}
                  width={7}
                  height={7}
                  rx={1.5}
                  transform={place}
                />
              );
            })}
          </g>
        );
      })}
    </>
  );
}

/** The time axis: ticks, clocks where they fit, the day where a new one begins, and breaks in long gaps. */
export function TimeAxis(props: {
  readonly ticks: readonly AxisTick[];
  readonly breaks: readonly AxisBreak[];
  readonly range: Range;
  readonly top: number;
}): ReactElement {
  const { top, range } = props;
  return (
    <g>
      <line className={styles.axis} x1={0} x2="100%" y1={top} y2={top} />
      {props.ticks
        .filter((tick) => isWithin(range, tick))
        .map((tick) => (
          <g key={tick.x}>
            <line className={styles.axis} x1={tick.x} x2={tick.x} y1={top} y2={top + (tick.clock === null ? 3 : 5)} />
            {tick.clock !== null && (
              <text className={styles.clock} x={tick.x} y={top + 17}>
                {tick.clock}
              </text>
            )}
            {tick.day !== null && (
              <text className={styles.day} x={tick.x} y={top + 31}>
                {tick.day}
              </text>
            )}
          </g>
        ))}
      {props.breaks
        .filter((one) => isWithin(range, one))
        .map((one) => (
          <g key={one.x}>
            <path className={styles.breakGround} d={`M${one.x - 3} ${top}h6`} />
            <path className={styles.axis} d={`M${one.x - 5} ${top + 4}l4 -8M${one.x + 1} ${top + 4}l4 -8`} />
            <text className={styles.breakText} x={one.x} y={top + 17}>
              {formatDuration(one.milliseconds).split(' ').slice(0, 2).join(' ')}
            </text>
          </g>
        ))}
    </g>
  );
}

/** Small marks of what else happened, on the axis. The table has them as words. */
export function EventMarks(props: {
  readonly marks: readonly EventMark[];
  readonly range: Range;
  readonly top: number;
  readonly now: number;
}): ReactElement {
  return (
    <div aria-hidden="true">
      {props.marks
        .filter((mark) => isWithin(props.range, mark))
        .map((mark) => {
          const kind = leadingKind(mark);
          const Symbol = EVENT_ICONS[kind];
          return (
            <Tip
              key={mark.x}
              label={
                <ul className={styles.events}>
                  {mark.events.slice(-8).map((event) => (
                    <li key={`${event.at} ${event.label}`}>
                      {formatClock(event.at, props.now)} {event.label}
                    </li>
                  ))}
                </ul>
              }
            >
              <span className={styles.event} data-kind={kind} style={{ left: mark.x, top: props.top + EVENTS_HEIGHT / 2 - 1 }}>
                <Symbol size={12} stroke={2} />
                {mark.events.length > 1 && <b>{mark.events.length}</b>}
              </span>
            </Tip>
          );
        })}
    </div>
  );
}

/** The names of the rows, left of the picture. */
export function Gutter(props: {
  readonly rows: Rows;
  readonly largest: number;
  readonly vms: readonly string[];
  readonly events: boolean;
}): ReactElement {
  const { rows } = props;
  return (
    <div className={styles.gutter} style={{ height: rows.height }} aria-hidden="true">
      {rows.sizesTop !== null && (
        <span style={{ top: rows.sizesTop, height: SIZES_HEIGHT }}>
          Size
          <small>≤ {formatBytes(props.largest)}</small>
        </span>
      )}
      {props.vms.map((vm, index) => (
        <span key={vm} className="mono" title={vm} style={{ top: rows.vmsTop + index * VM_HEIGHT, height: VM_HEIGHT }}>
          {vm}
        </span>
      ))}
      {props.events && <span style={{ top: rows.eventsTop, height: EVENTS_HEIGHT }}>Events</span>}
      <span style={{ top: rows.axisTop + 4, height: 18 }}>Time</span>
    </div>
  );
}
