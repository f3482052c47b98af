import { IconDots } from '@tabler/icons-react';
import { lazy, type ReactElement, Suspense, useRef, useState } from 'react';
import { IconButton } from '../feedback/tip.tsx';
import type { Action, MenuPlace } from './action.ts';
import styles from './action-menu.module.css';

const MenuBody = lazy(async () => ({ default: (await import('./menu-body.tsx')).MenuBody }));

/** A kebab button that opens a menu of `actions`. */
export function ActionMenu(props: { readonly label: string; readonly actions: readonly Action[] }): ReactElement {
  const target = useRef<HTMLSpanElement>(null);
  const [place, setPlace] = useState<MenuPlace | null>(null);
  function open(): void {
    const box = target.current?.getBoundingClientRect();
    if (box !== undefined) setPlace({ x: box.right, y: box.bottom, top: box.top });
  }
  return (
    <span ref={target} className={styles.target}>
      <IconButton
        label={props.label}
        icon={IconDots}
        expanded={place !== null}
        onClick={() => (place === null ? open() : setPlace(null))}
      />
      {place !== null && (
        <Suspense fallback={null}>
          <MenuBody
            label={props.label}
            place={place}
            side="bottom-end"
            actions={props.actions}
            opener={target.current}
            onClose={() => setPlace(null)}
          />
        </Suspense>
      )}
    </span>
  );
}

/** A menu of `actions` at a position on the page; nothing when `place` is null. */
export function ContextMenu(props: {
  readonly label: string;
  readonly place: MenuPlace | null;
  readonly actions: readonly Action[];
  readonly onClose: () => void;
}): ReactElement | null {
  if (props.place === null) return null;
  return (
    <Suspense fallback={null}>
      <MenuBody label={props.label} place={props.place} side="bottom-start" actions={props.actions} onClose={props.onClose} />
    </Suspense>
  );
}
