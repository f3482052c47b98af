import { type RefObject, useEffect, useEffectEvent, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { HistoryNode } from './history.ts';
import { type ForkGroup, fitScale, layoutTimeline, MARGIN, MAX_SCALE, MIN_SCALE, moved, type Timeline } from './layout.ts';
import type { Range } from './timeline-rows.tsx';

/** Limits of the scale that is chosen for the user: with many points, names stay legible; with few, they stay together. */
const LEAST_FIT = 0.35;
const MOST_FIT = 1.8;
const STEP = 1.4;
/** Drawn beyond both edges; a multiple of it is the step in which the drawn part moves, px. */
const OVERSCAN = 400;

/** Zooming of the timeline, and which part of it is to be drawn. */
export interface Zoom {
  readonly layout: Timeline;
  readonly scale: number;
  readonly range: Range;
  /** Wider than its box. */
  readonly overflows: boolean;
  readonly canZoomIn: boolean;
  readonly canZoomOut: boolean;
  /** Larger or smaller by a step; what is at the centre of interest stays where it is. */
  zoom(direction: 'in' | 'out'): void;
  /** The scale that fills the box. */
  fit(): void;
  onScroll(): void;
}

/** The scale that fills the box, also with labels of forks right of the present. */
function fit(nodes: readonly HistoryNode[], forks: readonly ForkGroup[], width: number): number {
  const scale = fitScale(nodes, width, LEAST_FIT, MOST_FIT);
  const { width: used, now } = layoutTimeline(nodes, scale, forks);
  return fitScale(nodes, width - (used - now.x - MARGIN), LEAST_FIT, MOST_FIT);
}

/** Lays the history out for the size of its box and the user's zoom. `selected` is kept in place while zooming by keys. */
export function useZoom(
  box: RefObject<HTMLDivElement | null>,
  nodes: readonly HistoryNode[],
  forks: readonly ForkGroup[],
  selected: string | null,
): Zoom {
  const [wanted, setWanted] = useState<number | null>(null);
  const [boxWidth, setBoxWidth] = useState(1000);
  const [range, setRange] = useState<Range>({ from: Number.NEGATIVE_INFINITY, to: Number.POSITIVE_INFINITY });
  const fitted = useMemo(() => fit(nodes, forks, boxWidth), [nodes, forks, boxWidth]);
  const scale = wanted ?? fitted;
  const layout = useMemo(() => layoutTimeline(nodes, scale, forks), [nodes, scale, forks]);
  const before = useRef<Timeline>(null);
  /** What has to stay where it is on the next layout: its position in the old one and in the box. */
  const anchor = useRef<{ readonly x: number; readonly inBox: number }>(null);

  const look = useEffectEvent(() => {
    const scroller = box.current;
    if (scroller === null) return;
    const from = Math.floor((scroller.scrollLeft - OVERSCAN) / OVERSCAN) * OVERSCAN;
    const to = Math.ceil((scroller.scrollLeft + scroller.clientWidth + OVERSCAN) / OVERSCAN) * OVERSCAN;
    setRange((range) => (range.from === from && range.to === to ? range : { from, to }));
  });

  useLayoutEffect(() => {
    const scroller = box.current;
    if (scroller === null) return undefined;
    setBoxWidth(scroller.clientWidth);
    const sizes = new ResizeObserver(() => {
      setBoxWidth(scroller.clientWidth);
      look();
    });
    sizes.observe(scroller);
    return () => sizes.disconnect();
  }, [box]);

  useLayoutEffect(() => {
    const scroller = box.current;
    if (scroller !== null) {
      const old = before.current;
      // Without an anchor, "now" is what users look for: at first, and after something was added.
      if (anchor.current !== null && old !== null)
        scroller.scrollLeft = moved(old.moments, layout.moments, anchor.current.x) - anchor.current.inBox;
      else if (old === null || old.width !== layout.width) scroller.scrollLeft = scroller.scrollWidth;
    }
    anchor.current = null;
    before.current = layout;
    look();
  }, [box, layout]);

  function to(next: number, inBox: number): void {
    const scroller = box.current;
    const limited = Math.min(MAX_SCALE, Math.max(MIN_SCALE, next));
    if (scroller === null || limited === scale) return;
    anchor.current = { x: scroller.scrollLeft + inBox, inBox };
    setWanted(limited);
  }

  /** The selected point if it can be seen, else the middle. */
  function interest(): number {
    const scroller = box.current;
    if (scroller === null) return 0;
    const x = layout.points.find((point) => point.snapshot.name === selected)?.x ?? -1;
    const inBox = x - scroller.scrollLeft;
    return inBox >= 0 && inBox <= scroller.clientWidth ? inBox : scroller.clientWidth / 2;
  }

  const onWheel = useEffectEvent((event: WheelEvent) => {
    if (!event.ctrlKey || box.current === null) return;
    event.preventDefault();
    to(scale * Math.exp(-event.deltaY * 0.0025), event.clientX - box.current.getBoundingClientRect().left);
  });
  useEffect(() => {
    const scroller = box.current;
    const events = new AbortController();
    // Not by React, whose wheel listeners are passive.
    scroller?.addEventListener('wheel', (event) => onWheel(event), { passive: false, signal: events.signal });
    return () => events.abort();
  }, [box]);

  return {
    layout,
    scale,
    range,
    overflows: layout.width > boxWidth + 1,
    canZoomIn: scale < MAX_SCALE,
    canZoomOut: scale > MIN_SCALE && layout.width > boxWidth * 0.5,
    zoom: (direction) => to(direction === 'in' ? scale * STEP : scale / STEP, interest()),
    fit: () => setWanted(null),
    onScroll: () => look(),
  };
}
