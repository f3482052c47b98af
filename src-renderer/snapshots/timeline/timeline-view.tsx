import { IconZoomIn, IconZoomOut, IconZoomReset } from '@tabler/icons-react';
import { type KeyboardEvent, type MouseEvent, type ReactElement, useEffect, useEffectEvent, useMemo, useRef, useState } from 'react';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import type { PrefixState, VmState } from '../../../src-shared/state.ts';
import { clockOf, dayOf, formatClock } from '../../format.ts';
import { IconButton, Tip } from '../../ui/feedback/tip.tsx';
import { type Action, type MenuPlace, menuPlace } from '../../ui/menu/action.ts';
import { ContextMenu } from '../../ui/menu/action-menu.tsx';
import { describePoint } from '../point-facts.ts';
import { PointGlyph } from '../point-glyph.tsx';
import { POINT_KEYS } from '../timeline-keys.ts';
import { Elsewhere } from './elsewhere.tsx';
import { type ForkedEnvironment, groupForks, LETTER, NAME_WIDTH } from './forks.ts';
import { edgePath, forkPath, isWithin, laneY, type Rows, rowsOf } from './geometry.ts';
import { historyOf, NOW, type Origin } from './history.ts';
import { neighbour, type Timeline, type TimelinePoint } from './layout.ts';
import { axisBreaks, axisTicks, eventMarks, placeLabels, type WantedLabel } from './marks.ts';
import { PointTip } from './point-tip.tsx';
import { TimelineOverview } from './timeline-overview.tsx';
import { EventMarks, Gutter, largestOf, SizeBars, TimeAxis, VmRows } from './timeline-rows.tsx';
import styles from './timeline-view.module.css';
import { useZoom } from './use-zoom.ts';

/** With more VMs, their rows are left out: the details of the selected snapshot have them. */
const MOST_VMS = 8;

interface TimelineViewProps {
  readonly prefix: PrefixState;
  readonly forks: readonly ForkedEnvironment[];
  readonly origin: Origin | null;
  readonly now: number;
  readonly selected: string | null;
  /** What can be done with a snapshot, for its context menu and keys. */
  readonly actions: (snapshot: SnapshotState) => readonly Action[];
  readonly onSelect: (name: string) => void;
  readonly onTake: () => void;
  /** Shows another environment. */
  readonly onOpen: (environment: string) => void;
}

/** The names that can be shown: the selected one, then those that somebody gave on purpose, newest first. */
function shownNames(points: readonly TimelinePoint[], selected: string | null): ReadonlySet<string> {
  const rank = ({ snapshot }: TimelinePoint): number =>
    snapshot.name === selected ? 4 : snapshot.current ? 3 : snapshot.pinned ? 2 : snapshot.automatic ? 0 : 1;
  const wanted = points.map((point): WantedLabel & { readonly rank: number } => ({
    key: point.snapshot.name,
    x: point.x,
    row: point.lane,
    width: Math.min(NAME_WIDTH, point.snapshot.name.length * LETTER + 8),
    rank: rank(point),
  }));
  return placeLabels(wanted.toReversed().toSorted((a, b) => b.rank - a.rank));
}

function Point(props: {
  readonly point: TimelinePoint;
  readonly rows: Rows;
  readonly now: number;
  readonly named: boolean;
  readonly selected: boolean;
  readonly focusable: boolean;
  readonly position: number;
  readonly total: number;
  readonly onSelect: (name: string) => void;
  readonly onMenu: (name: string, place: MenuPlace) => void;
  readonly onRevert: () => void;
}): ReactElement {
  const { snapshot, x, lane, room } = props.point;
  const width = Math.max(10, Math.min(room, 36));
  const y = laneY(props.rows, lane);
  function openMenu(event: MouseEvent<HTMLDivElement>): void {
    const place = menuPlace(event);
    const mark = event.currentTarget.querySelector('[data-mark]')?.getBoundingClientRect();
    const byKey = event.clientX === 0 && event.clientY === 0;
    props.onSelect(snapshot.name);
    props.onMenu(snapshot.name, byKey && mark !== undefined ? { x: mark.left, y: mark.bottom, top: mark.top } : place);
  }
  return (
    <div
      role="option"
      aria-selected={props.selected}
      aria-posinset={props.position}
      aria-setsize={props.total}
      tabIndex={props.focusable ? 0 : -1}
      className={styles.point}
      data-name={snapshot.name}
      style={{ left: x - width / 2, width, height: props.rows.axisTop }}
      onClick={() => props.onSelect(snapshot.name)}
      onFocus={() => props.onSelect(snapshot.name)}
      onDoubleClick={props.onRevert}
      onContextMenu={openMenu}
    >
      <span className="hidden-visually">{describePoint(snapshot, props.now)}</span>
      {props.named && (
        <span className={styles.name} style={{ top: y - 29, maxWidth: NAME_WIDTH }} aria-hidden="true">
          {snapshot.name}
        </span>
      )}
      <PointTip snapshot={snapshot} now={props.now}>
        <span className={styles.mark} data-mark style={{ top: y - 11 }}>
          <PointGlyph snapshot={snapshot} small={room < 16} />
        </span>
      </PointTip>
      {props.selected && (
        <span className={styles.badge} style={{ top: props.rows.axisTop + 3 }} aria-hidden="true">
          {formatClock(snapshot.createdAt, props.now)}
        </span>
      )}
    </div>
  );
}

/** The lines between states, and the present. */
function Lines(props: {
  readonly layout: Timeline;
  readonly rows: Rows;
  readonly range: { readonly from: number; readonly to: number };
}): ReactElement {
  const { layout, rows, range } = props;
  const seen = (from: number, to: number): boolean => from <= range.to && to >= range.from;
  return (
    <>
      <line className={styles.now} x1={layout.now.x} x2={layout.now.x} y1={20} y2={rows.axisTop} />
      {layout.edges
        .filter((edge) => seen(edge.x1, edge.x2))
        .map((edge) => (
          <path key={`${edge.from}→${edge.to}`} className={styles.edge} data-present={edge.to === NOW} d={edgePath(rows, edge)} />
        ))}
      {layout.forks.map((fork) => (
        <path key={fork.key} className={styles.forkEdge} d={forkPath(rows, fork)} />
      ))}
      <circle className={styles.nowPoint} cx={layout.now.x} cy={laneY(rows, layout.now.lane)} r={4} />
    </>
  );
}

/** The word at the present, and what another program has done to its VMs. */
function NowLabel(props: { readonly vms: readonly VmState[]; readonly x: number }): ReactElement {
  const problems = props.vms.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`]));
  if (problems.length === 0) {
    return (
      <span className={styles.nowLabel} style={{ left: props.x }}>
        Now
      </span>
    );
  }
  return (
    <Tip label={<span className={styles.problems}>{problems.join('\n')}</span>}>
      <button type="button" className={styles.nowLabel} data-changed="true" style={{ left: props.x }}>
        Now, changed
        <span className="hidden-visually"> by another program: {problems.join(' ')}</span>
      </button>
    </Tip>
  );
}

/**
 * Snapshots over time, one lane per branch, with sizes, VMs and events on the same axis. Arrows move; the keys of `POINT_KEYS` act on the selected
 * snapshot; N takes one; +, − and 0 zoom, as does the wheel with Ctrl.
 */
export function TimelineView(props: TimelineViewProps): ReactElement {
  const { prefix, now, selected, forks, origin } = props;
  const { snapshots, events } = prefix;
  // Once per minute at most, so that "now" does not visibly crawl; never before what has just happened.
  const minute = Math.ceil(now / 60_000) * 60_000;
  const since = events[0]?.at ?? null;
  const forkedAt = origin?.at ?? null;
  const nodes = useMemo(() => historyOf(snapshots, { now: minute, forkedAt, since }), [snapshots, minute, forkedAt, since]);
  const labels = useMemo(() => groupForks(forks), [forks]);
  const box = useRef<HTMLDivElement>(null);
  const zoom = useZoom(box, nodes, labels, selected);
  const { layout, range } = zoom;
  const [menu, setMenu] = useState<{ readonly name: string; readonly place: MenuPlace } | null>(null);

  const largest = useMemo(() => largestOf(snapshots), [snapshots]);
  const vms = useMemo(() => {
    const names = [...new Set([...prefix.vms.map((vm) => vm.name), ...snapshots.flatMap((snapshot) => Object.keys(snapshot.vms))])];
    return names.length > MOST_VMS ? [] : names;
  }, [prefix.vms, snapshots]);
  const rows = rowsOf({ lanes: layout.lanes, sizes: largest > 0, vms: vms.length, events: events.length > 0 });
  const names = useMemo(() => shownNames(layout.points, selected), [layout, selected]);
  const ticks = useMemo(() => axisTicks(layout.moments, clockOf, dayOf), [layout]);
  const breaks = useMemo(() => axisBreaks(layout.moments), [layout]);
  const marks = useMemo(() => eventMarks(events, layout.moments), [events, layout]);
  const seen = useMemo(() => layout.points.filter((point) => isWithin(range, point)), [layout, range]);
  const focusable = snapshots.some((snapshot) => snapshot.name === selected) ? selected : (layout.points.at(-1)?.snapshot.name ?? null);
  const asked = snapshots.find((snapshot) => snapshot.name === menu?.name);

  const focusSelected = useEffectEvent(() => {
    if (box.current?.contains(document.activeElement) === true) box.current.querySelector<HTMLElement>('[aria-selected="true"]')?.focus();
  });
  useEffect(() => focusSelected(), [selected]);

  function act(name: string | null, id: string): void {
    const snapshot = snapshots.find((one) => one.name === name);
    const action = snapshot === undefined ? undefined : props.actions(snapshot).find((one) => one.id === id);
    if (action !== undefined && action.blocked === undefined) action.run();
  }

  function onKeyDown(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const next = neighbour(layout, selected ?? '', key);
    const id = POINT_KEYS[key];
    if (next !== null) props.onSelect(next);
    else if (id !== undefined) act(selected, id);
    else if (key === 'n') props.onTake();
    else if (key === '+' || key === '=') zoom.zoom('in');
    else if (key === '-') zoom.zoom('out');
    else if (key === '0') zoom.fit();
    else return;
    event.preventDefault();
  }

  return (
    <div className={styles.timeline}>
      <div className={styles.picture}>
        <Gutter rows={rows} largest={largest} vms={vms} events={events.length > 0} />
        <div className={styles.box} ref={box} data-testid="timeline" onScroll={zoom.onScroll}>
          <div className={styles.stage} style={{ width: layout.width, height: rows.height }}>
            <svg className={styles.drawing} width="100%" height={rows.height} aria-hidden="true">
              <Lines layout={layout} rows={rows} range={range} />
              {rows.sizesTop !== null && <SizeBars points={seen} top={rows.sizesTop} largest={largest} />}
              <VmRows points={seen} vms={vms} top={rows.vmsTop} />
              <TimeAxis ticks={ticks} breaks={breaks} range={range} top={rows.axisTop} />
            </svg>
            <NowLabel vms={prefix.vms} x={layout.now.x} />
            <EventMarks marks={marks} range={range} top={rows.eventsTop} now={now} />
            <div role="listbox" aria-label="Snapshots" aria-orientation="horizontal" onKeyDown={onKeyDown}>
              {layout.points.map((point, index) => {
                const { name } = point.snapshot;
                // Only what can be seen, so that hundreds are quick; the focus must not get lost.
                if (!isWithin(range, point) && name !== focusable) return null;
                return (
                  <Point
                    key={name}
                    point={point}
                    rows={rows}
                    now={now}
                    named={names.has(name)}
                    selected={name === selected}
                    focusable={name === focusable}
                    position={index + 1}
                    total={layout.points.length}
                    onSelect={props.onSelect}
                    onMenu={(target, place) => setMenu({ name: target, place })}
                    onRevert={() => act(name, 'revert')}
                  />
                );
              })}
            </div>
            <Elsewhere layout={layout} rows={rows} forks={forks} origin={origin} onOpen={props.onOpen} />
          </div>
        </div>
        <div className={styles.zoom} role="group" aria-label="Zoom">
          <IconButton label="Zoom out" tip="Zoom out (−)" icon={IconZoomOut} disabled={!zoom.canZoomOut} onClick={() => zoom.zoom('out')} />
          <IconButton label="Fit the timeline" tip="Fit (0)" icon={IconZoomReset} onClick={zoom.fit} />
          <IconButton
            label="Zoom in"
            tip="Zoom in (+, or Ctrl and the wheel)"
            icon={IconZoomIn}
            disabled={!zoom.canZoomIn}
            onClick={() => zoom.zoom('in')}
          />
        </div>
      </div>
      {zoom.overflows && <TimelineOverview layout={layout} box={box} selected={selected} />}
      <ContextMenu
        label={`Actions for ${menu?.name ?? ''}`}
        place={asked === undefined ? null : (menu?.place ?? null)}
        actions={asked === undefined ? [] : props.actions(asked)}
        onClose={() => setMenu(null)}
      />
    </div>
  );
}
