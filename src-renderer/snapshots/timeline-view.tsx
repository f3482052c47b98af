import { type KeyboardEvent, type ReactElement, useEffect, useEffectEvent, useLayoutEffect, useMemo, useRef } from 'react';
import type { SnapshotState } from '../../src-shared/timeline.ts';
import { count, formatClock } from '../format.ts';
import { HoverTip } from './hover-tip.tsx';
import { layoutTimeline, neighbour, type TimelineEdge } from './timeline.ts';
import styles from './timeline-view.module.css';

const LANE = 56;
const TOP = 28;
const LEFT = 56;
const RIGHT = 56;
const BOTTOM = 32;
const RADIUS = 8;

function y(lane: number): number {
  return TOP + lane * LANE + LANE / 2;
}

/** Runs along the child's lane, after a short curve out of the parent's lane. */
function path(edge: TimelineEdge): string {
  const [x1, y1, x2, y2] = [LEFT + edge.x1, y(edge.lane1), LEFT + edge.x2, y(edge.lane2)];
  if (y1 === y2) return `M${x1} ${y1}H${x2}`;
  // Clear of the time label below the parent's point.
  const start = x1 + 22;
  const end = start + 28;
  const middle = (start + end) / 2;
  return `M${x1} ${y1}H${start}C${middle + 4} ${y1} ${middle - 4} ${y2} ${end} ${y2}H${x2}`;
}

function describe(snapshot: SnapshotState, now: number): string {
  const kinds = Object.values(snapshot.vms);
  const memory = kinds.filter((kind) => kind === 'memory').length;
  const content = memory === 0 ? 'disks only' : memory === kinds.length ? 'with memory' : `${memory} of ${kinds.length} with memory`;
  return `${snapshot.name}, ${formatClock(snapshot.createdAt, now)}, ${count(kinds.length, 'VM')}, ${content}${snapshot.current ? ', the present is built on it' : ''}`;
}

interface TimelineViewProps {
  readonly snapshots: readonly SnapshotState[];
  readonly now: number;
  readonly selected: string | null;
  readonly onSelect: (name: string) => void;
  readonly onRevert: (name: string) => void;
  readonly onTake: () => void;
  readonly onRemove: (name: string) => void;
}

/** Snapshots over time, one lane per branch. Arrows move, Enter reverts, N takes one, Delete removes. */
export function TimelineView(props: TimelineViewProps): ReactElement {
  const { snapshots, now, selected } = props;
  // Once per minute at most, so that "now" does not visibly crawl.
  const minute = Math.floor(now / 60_000) * 60_000;
  const layout = useMemo(() => layoutTimeline(snapshots, minute), [snapshots, minute]);
  const box = useRef<HTMLDivElement>(null);
  const width = LEFT + layout.width + RIGHT;
  const height = TOP + layout.lanes * LANE + BOTTOM;
  const nowX = LEFT + layout.now.x;

  // Scroll to "now", which users look for first.
  useLayoutEffect(() => {
    if (box.current !== null) box.current.scrollLeft = box.current.scrollWidth;
  }, [layout.width]);

  const focusSelected = useEffectEvent(() => {
    if (box.current?.contains(document.activeElement) === true) box.current.querySelector<HTMLElement>('[aria-selected="true"]')?.focus();
  });
  useEffect(() => focusSelected(), [selected]);

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const next = neighbour(layout, selected ?? '', event.key);
    if (next !== null && event.key.match(/^(Arrow|Home|End)/) !== null) props.onSelect(next);
    else if (event.key === 'Enter' && selected !== null) props.onRevert(selected);
    else if (event.key === 'Delete' && selected !== null) props.onRemove(selected);
    else if (event.key === 'n' || event.key === 'N') props.onTake();
    else return;
    event.preventDefault();
  }

  const focusable = layout.points.some((point) => point.snapshot.name === selected)
    ? selected
    : (layout.points.at(-1)?.snapshot.name ?? null);
  return (
    <div className={styles.box} ref={box} data-testid="timeline">
      <div className={styles.stage} style={{ width, height }}>
        <svg width={width} height={height} aria-hidden="true">
          <line className={styles.now} x1={nowX} x2={nowX} y1={TOP - 4} y2={height - BOTTOM + 4} />
          {layout.edges.map((edge) => (
            <path key={`${edge.from}→${edge.to}`} className={styles.edge} data-present={edge.to === 'now'} d={path(edge)} />
          ))}
          <circle className={styles.nowPoint} cx={nowX} cy={y(layout.now.lane)} r={4} />
        </svg>
        <span className={styles.nowLabel} style={{ left: nowX }}>
          Now
        </span>
        <div role="listbox" aria-label="Snapshots" aria-orientation="horizontal" onKeyDown={onKeyDown}>
          {layout.points.map(({ snapshot, x, lane }) => {
            const kinds = Object.values(snapshot.vms);
            const memory = kinds.some((kind) => kind === 'memory');
            return (
              <HoverTip key={snapshot.name} snapshot={snapshot} now={now}>
                <div
                  role="option"
                  aria-selected={snapshot.name === selected}
                  tabIndex={snapshot.name === focusable ? 0 : -1}
                  className={styles.point}
                  data-name={snapshot.name}
                  style={{ left: LEFT + x, top: y(lane) }}
                  onClick={() => props.onSelect(snapshot.name)}
                  onFocus={() => props.onSelect(snapshot.name)}
                  onDoubleClick={() => props.onRevert(snapshot.name)}
                >
                  <span className="hidden-visually">{describe(snapshot, now)}</span>
                  <span className={styles.name} aria-hidden="true">
                    {snapshot.name}
                  </span>
                  <svg
                    width={RADIUS * 2 + 4}
                    height={RADIUS * 2 + 4}
                    viewBox={`${-RADIUS - 2} ${-RADIUS - 2} ${RADIUS * 2 + 4} ${RADIUS * 2 + 4}`}
                  >
                    <circle r={RADIUS - 1} className={styles.ring} />
                    {memory && <circle r={RADIUS - 4} className={styles.fill} />}
                  </svg>
                  <span className={styles.time} aria-hidden="true">
                    {formatClock(snapshot.createdAt, now)}
                  </span>
                </div>
              </HoverTip>
            );
          })}
        </div>
      </div>
    </div>
  );
}
