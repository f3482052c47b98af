import { cloneElement, type ReactElement, type ReactNode, useEffect, useEffectEvent, useId, useRef, useState } from 'react';
import { createPortal } from 'react-dom';
import styles from './tooltip.module.css';

const DELAY = 450;
const GAP = 6;
const EDGE = 8;

interface Anchor {
  readonly left: number;
  readonly top: number;
}

function place(target: DOMRect, box: DOMRect, side: 'top' | 'right'): Anchor {
  const right = { left: target.right + GAP, top: target.top + (target.height - box.height) / 2 };
  const above = { left: target.left + (target.width - box.width) / 2, top: target.top - box.height - GAP };
  const below = { left: above.left, top: target.bottom + GAP };
  const wanted = side === 'right' ? right : above.top < EDGE ? below : above;
  return {
    left: Math.max(EDGE, Math.min(wanted.left, window.innerWidth - box.width - EDGE)),
    top: Math.max(EDGE, Math.min(wanted.top, window.innerHeight - box.height - EDGE)),
  };
}

/** The element that a tooltip is added to: the outermost landmark, so that a screen reader finds it in the right part of the page. */
function landmarkOf(element: Element): Element {
  let found: Element = document.body;
  for (let at: Element | null = element; at !== null; at = at.parentElement) {
    if (at.matches('main, nav, footer, section[aria-label], [role="region"], [role="dialog"]')) found = at;
  }
  return found;
}

/**
 * Text beside its element: on hover after a moment, on keyboard focus at once; Escape and a press hide it. Kept small because it is part
 * of the first paint. The child must be an element that passes its props on to the DOM; it stays in place, and keeps the focus, when the
 * text comes and goes.
 */
export function Tooltip(props: {
  /** Nothing is shown while it is undefined or empty. */
  readonly label: ReactNode;
  readonly position: 'top' | 'right';
  readonly children: ReactElement<object>;
}): ReactElement {
  const id = useId();
  const wrapper = useRef<HTMLSpanElement>(null);
  const box = useRef<HTMLDivElement>(null);
  /** The element that contains the tooltip while it is shown. */
  const [landmark, setLandmark] = useState<Element | null>(null);
  const labelled = props.label !== undefined && props.label !== '';
  const shown = landmark !== null && labelled;
  const [anchor, setAnchor] = useState<Anchor | null>(null);
  const show = useEffectEvent((target: Element) => {
    if (labelled) setLandmark(landmarkOf(target));
  });

  useEffect(() => {
    const target = wrapper.current?.firstElementChild;
    if (!(target instanceof HTMLElement || target instanceof SVGElement)) return undefined;
    const events = new AbortController();
    const options = { signal: events.signal };
    let timer: ReturnType<typeof setTimeout> | undefined;
    function hide(): void {
      clearTimeout(timer);
      setLandmark(null);
      setAnchor(null);
    }
    target.addEventListener(
      'pointerenter',
      () => {
        timer = setTimeout(() => show(target), DELAY);
      },
      options,
    );
    target.addEventListener('focus', () => target.matches(':focus-visible') && show(target), options);
    for (const leave of ['pointerleave', 'pointerdown', 'blur'] as const) target.addEventListener(leave, hide, options);
    window.addEventListener('keydown', (event) => event.key === 'Escape' && hide(), options);
    return () => {
      clearTimeout(timer);
      events.abort();
    };
  }, []);

  useEffect(() => {
    const target = wrapper.current?.firstElementChild;
    if (shown && target instanceof Element && box.current !== null)
      setAnchor(place(target.getBoundingClientRect(), box.current.getBoundingClientRect(), props.position));
  }, [shown, props.position, props.label]);

  return (
    <span ref={wrapper} className={styles.wrapper}>
      {shown ? cloneElement(props.children, { 'aria-describedby': id } as object) : props.children}
      {shown &&
        createPortal(
          <div ref={box} id={id} role="tooltip" className={styles.tooltip} style={anchor ?? { visibility: 'hidden', left: 0, top: 0 }}>
            {props.label}
          </div>,
          landmark,
        )}
    </span>
  );
}
