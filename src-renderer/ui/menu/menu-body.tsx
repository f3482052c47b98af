import { type KeyboardEvent, type ReactElement, type SyntheticEvent, useEffect, useEffectEvent, useLayoutEffect, useRef } from 'react';
import type { Action, MenuPlace } from './action.ts';
import styles from './action-menu.module.css';

const EDGE = 8;

interface MenuBodyProps {
  readonly label: string;
  readonly place: MenuPlace;
  readonly side: 'bottom-start' | 'bottom-end';
  readonly actions: readonly Action[];
  /** The element that opened the menu and toggles it, if it is part of the page. */
  readonly opener?: Element | null;
  readonly onClose: () => void;
}

function stop(event: SyntheticEvent): void {
  event.stopPropagation();
}

/** Positions the menu below the place, or above it where there is no room; always inside the window. */
function position(menu: HTMLElement, place: MenuPlace, side: MenuBodyProps['side']): void {
  const { width, height } = menu.getBoundingClientRect();
  const left = side === 'bottom-end' ? place.x - width : place.x;
  const above = (place.top ?? place.y) - height;
  const top = place.y + height > window.innerHeight - EDGE && above >= EDGE ? above : place.y;
  menu.style.left = `${Math.max(EDGE, Math.min(left, window.innerWidth - width - EDGE))}px`;
  menu.style.top = `${Math.max(EDGE, Math.min(top, window.innerHeight - height - EDGE))}px`;
}

/**
 * An open menu of actions in the browser's top layer. Arrows, Home, End and first letters move; Enter runs an action; Escape, Tab and a
 * press elsewhere close. Loaded when the first menu opens.
 */
export function MenuBody(props: MenuBodyProps): ReactElement {
  const { place, side, actions, onClose, opener } = props;
  const menu = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    menu.current?.showPopover();
    if (menu.current !== null) position(menu.current, place, side);
    menu.current?.querySelector<HTMLElement>('[role="menuitem"]')?.focus();
  }, [place, side]);

  const onPress = useEffectEvent((event: Event) => {
    const inside =
      event.target instanceof Node && (menu.current?.contains(event.target) === true || opener?.contains(event.target) === true);
    if (!inside) onClose();
  });
  const close = useEffectEvent(onClose);
  useEffect(() => {
    const events = new AbortController();
    window.addEventListener('pointerdown', (event) => onPress(event), { signal: events.signal, capture: true });
    window.addEventListener('resize', () => close(), events);
    window.addEventListener('blur', () => close(), events);
    return () => events.abort();
  }, []);

  function onKeyDown(event: KeyboardEvent): void {
    event.stopPropagation();
    const items = [...(menu.current?.querySelectorAll<HTMLElement>('[role="menuitem"]') ?? [])];
    const index = items.indexOf(document.activeElement as HTMLElement);
    const letter = event.key.length === 1 && event.key !== ' ' && !event.ctrlKey && !event.altKey ? event.key.toLowerCase() : undefined;
    const steps: Readonly<Record<string, number>> = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: items.length - 1 };
    const step = steps[event.key];
    if (event.key === 'Escape' || event.key === 'Tab') onClose();
    else if (step !== undefined) items[(step + items.length) % items.length]?.focus();
    else if (letter !== undefined) {
      [...items.slice(index + 1), ...items.slice(0, index + 1)]
        .find((item) => item.innerText.trim().toLowerCase().startsWith(letter))
        ?.focus();
    } else return;
    event.preventDefault();
  }

  return (
    <div
      ref={menu}
      popover="manual"
      role="menu"
      aria-label={props.label}
      className={styles.menu}
      onKeyDown={onKeyDown}
      onClick={stop}
      onDoubleClick={stop}
      onContextMenu={(event) => {
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      {actions.map((action, index) => {
        const { icon: Symbol } = action;
        return (
          <button
            key={action.id}
            type="button"
            role="menuitem"
            tabIndex={-1}
            className={styles.item}
            data-divided={action.group === true && index > 0}
            data-danger={action.danger === true}
            aria-disabled={action.blocked !== undefined}
            title={action.blocked}
            onPointerEnter={(event) => event.currentTarget.focus({ preventScroll: true })}
            onClick={() => {
              if (action.blocked !== undefined) return;
              onClose();
              action.run();
            }}
          >
            <Symbol size={14} stroke={1.6} />
            {action.label}
          </button>
        );
      })}
    </div>
  );
}
