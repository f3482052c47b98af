import { type PointerEvent, type ReactElement, type RefObject, useEffect, useRef } from 'react';
import type { Timeline } from './layout.ts';
import styles from './timeline-view.module.css';

const HEIGHT = 24;

/** The whole timeline in a strip, with a frame around what can be seen; pressing and dragging moves the frame. For the pointer only. */
export function TimelineOverview(props: {
  readonly layout: Timeline;
  readonly box: RefObject<HTMLDivElement | null>;
  readonly selected: string | null;
}): ReactElement {
  const { layout, box } = props;
  const frame = useRef<HTMLDivElement>(null);

  useEffect(() => {
    const scroller = box.current;
    if (scroller === null) return undefined;
    function follow(): void {
      if (frame.current === null || scroller === null) return;
      frame.current.style.left = `${(scroller.scrollLeft / scroller.scrollWidth) * 100}%`;
      frame.current.style.width = `${(scroller.clientWidth / scroller.scrollWidth) * 100}%`;
    }
    follow();
    scroller.addEventListener('scroll', follow, { passive: true });
    const sizes = new ResizeObserver(follow);
    sizes.observe(scroller);
    return () => {
      scroller.removeEventListener('scroll', follow);
      sizes.disconnect();
    };
  }, [box, layout]);

  function move(event: PointerEvent<HTMLDivElement>): void {
    if (event.buttons !== 1 || box.current === null) return;
    const strip = event.currentTarget.getBoundingClientRect();
    event.currentTarget.setPointerCapture(event.pointerId);
    const middle = ((event.clientX - strip.left) / strip.width) * box.current.scrollWidth;
    box.current.scrollLeft = middle - box.current.clientWidth / 2;
  }

  const yOf = (lane: number): number => 4 + ((HEIGHT - 8) * (lane + 0.5)) / layout.lanes;
  return (
    <div className={styles.overview} aria-hidden="true" onPointerDown={move} onPointerMove={move}>
      <svg width="100%" height={HEIGHT} viewBox={`0 0 ${layout.width} ${HEIGHT}`} preserveAspectRatio="none">
        <path
          className={styles.overviewLines}
          d={layout.edges.map((edge) => `M${edge.x1} ${yOf(edge.lane1)}L${edge.x2} ${yOf(edge.lane2)}`).join('')}
        />
        <path className={styles.overviewPoints} d={layout.points.map(({ x, lane }) => `M${x} ${yOf(lane)}h0`).join('')} />
        <path
          className={styles.overviewSelected}
          d={layout.points
            .filter(({ snapshot }) => snapshot.name === props.selected)
            .map(({ x, lane }) => `M${x} ${yOf(lane)}h0`)
            .join('')}
        />
      </svg>
      <div ref={frame} className={styles.frame} />
    </div>
  );
}
