import { type KeyboardEvent, type PointerEvent, type ReactElement, type ReactNode, useRef, useState } from 'react';
import styles from './dock-split.module.css';

/** Limits of an open dock's height, px. */
const LEAST = 120;
const MOST = 2_000;
/** Dragging it lower than this closes the dock, px. */
const CLOSES_BELOW = 72;
const KEY_STEP = 24;

interface DockSplitProps {
  readonly page: ReactNode;
  readonly dock: ReactNode;
  readonly open: boolean;
  /** Height of the open dock if the window has room for it, px. */
  readonly size: number;
  readonly onOpen: (open: boolean) => void;
  /** Called when the user chooses another height. */
  readonly onSize: (size: number) => void;
}

/**
 * The page above the dock. `size` is the height that the user chose; in a small window only the style sheet reduces it, so the dock gets
 * its height back once there is room.
 */
export function DockSplit(props: DockSplitProps): ReactElement {
  const { open, size, onOpen, onSize } = props;
  const frame = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLElement>(null);
  const [dragged, setDragged] = useState<number | null>(null);
  const shown = dragged ?? size;

  function choose(wanted: number): void {
    onSize(Math.round(Math.min(MOST, Math.max(LEAST, wanted))));
  }

  function onPointerDown(event: PointerEvent<HTMLDivElement>): void {
    if (event.button !== 0) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    setDragged(size);
  }

  function onPointerMove(event: PointerEvent<HTMLDivElement>): void {
    const box = frame.current?.getBoundingClientRect();
    if (dragged === null || box === undefined) return;
    const wanted = box.bottom - event.clientY;
    if (wanted < CLOSES_BELOW) {
      if (open) onOpen(false);
      return;
    }
    if (!open) onOpen(true);
    setDragged(Math.max(LEAST, wanted));
  }

  function onPointerUp(): void {
    if (dragged === null) return;
    if (open && dragged !== size) choose(panel.current?.getBoundingClientRect().height ?? dragged);
    setDragged(null);
  }

  function onKeyDown(event: KeyboardEvent): void {
    const height = panel.current?.getBoundingClientRect().height ?? size;
    if (event.key === 'Enter') onOpen(!open);
    else if (event.key === 'ArrowUp' && open) choose(height + KEY_STEP);
    else if (event.key === 'ArrowUp') onOpen(true);
    else if (event.key === 'ArrowDown' && open && height <= LEAST) onOpen(false);
    else if (event.key === 'ArrowDown' && open) choose(height - KEY_STEP);
    else return;
    event.preventDefault();
  }

  return (
    <div ref={frame} className={styles.split}>
      <div className={styles.page}>{props.page}</div>
      <section ref={panel} aria-label="Dock" className={styles.dock} data-open={open} style={{ '--dock-size': `${shown}px` } as object}>
        <div
          role="separator"
          aria-orientation="horizontal"
          aria-label="Height of the dock"
          aria-valuemin={0}
          aria-valuemax={MOST}
          aria-valuenow={open ? Math.round(shown) : 0}
          aria-valuetext={open ? `${Math.round(shown)} px` : 'closed'}
          tabIndex={0}
          className={styles.separator}
          data-active={dragged !== null}
          onPointerDown={onPointerDown}
          onPointerMove={onPointerMove}
          onPointerUp={onPointerUp}
          onPointerCancel={() => setDragged(null)}
          onKeyDown={onKeyDown}
        />
        {props.dock}
      </section>
    </div>
  );
}
