import { IconDots } from '@tabler/icons-react';
import { Suspense, lazy, useRef, useState, type MouseEvent, type ReactElement } from 'react';
import type { Icon } from './state-mark.tsx';
import { IconButton } from './tip.tsx';
import styles from './action-menu.module.css';

const MenuBody = lazy(async () => ({ default: (await import('./menu-body.tsx')).MenuBody }));

/** One thing that can be done, the same for a button, a kebab and a context menu. */
export interface Action {
  readonly id: string;
  readonly label: string;
  readonly icon: Icon;
  readonly run: () => void;
  /** Why it cannot be done now; shown in place of nothing. */
  readonly blocked?: string | undefined;
  readonly danger?: boolean;
  /** Begins a new group in menus. */
  readonly group?: boolean;
}

/** The kebab: a button that opens `actions`. */
export function ActionMenu(props: { readonly label: string; readonly actions: readonly Action[] }): ReactElement {
  const target = useRef<HTMLSpanElement>(null);
  const [place, setPlace] = useState<MenuPlace | null>(null);
  function open(): void {
    const box = target.current?.getBoundingClientRect();
    if (box !== undefined) setPlace({ x: box.right, y: box.bottom });
  }
  return (
    <span ref={target} className={styles.target}>
      <IconButton label={props.label} icon={IconDots} expanded={place !== null} onClick={() => (place === null ? open() : setPlace(null))} />
      {place !== null && (
        <Suspense fallback={null}>
          <MenuBody label={props.label} place={place} side="bottom-end" actions={props.actions} onClose={() => setPlace(null)} />
        </Suspense>
      )}
    </span>
  );
}

/** Where a menu is open. */
export interface MenuPlace {
  readonly x: number;
  readonly y: number;
}

/** The place for a context menu: the pointer, or below the element for the keyboard's menu key. */
export function menuPlace(event: MouseEvent<HTMLElement>): MenuPlace {
  event.preventDefault();
  if (event.clientX !== 0 || event.clientY !== 0) return { x: event.clientX, y: event.clientY };
  const box = event.currentTarget.getBoundingClientRect();
  return { x: box.left + 16, y: box.bottom };
}

/** `actions` at a place on the page; nothing when `place` is null. */
export function ContextMenu(props: { readonly label: string; readonly place: MenuPlace | null; readonly actions: readonly Action[]; readonly onClose: () => void }): ReactElement | null {
  if (props.place === null) return null;
  return (
    <Suspense fallback={null}>
      <MenuBody label={props.label} place={props.place} side="bottom-start" actions={props.actions} onClose={props.onClose} />
    </Suspense>
  );
}
