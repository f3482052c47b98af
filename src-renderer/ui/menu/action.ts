import type { MouseEvent } from 'react';
import type { Icon } from '../feedback/state-mark.tsx';

/** One user action, the same for a button, a kebab menu and a context menu. */
export interface Action {
  readonly id: string;
  readonly label: string;
  readonly icon: Icon;
  readonly run: () => void;
  /** Why it is unavailable now, shown to the user; undefined when it is available. */
  readonly blocked?: string | undefined;
  readonly danger?: boolean;
  /** Has a button of its own beside the menu, where there is room for some. */
  readonly button?: boolean;
  /** Begins a new group in menus. */
  readonly group?: boolean;
}

/** Where a menu opens, in px of the viewport. */
export interface MenuPlace {
  readonly x: number;
  readonly y: number;
  /** Bottom edge of a menu that opens upwards; defaults to `y`. */
  readonly top?: number;
}

/** Where to open a context menu: at the pointer, or below the element for the keyboard's menu key. */
export function menuPlace(event: MouseEvent<HTMLElement>): MenuPlace {
  event.preventDefault();
  if (event.clientX !== 0 || event.clientY !== 0) return { x: event.clientX, y: event.clientY };
  const box = event.currentTarget.getBoundingClientRect();
  return { x: box.left + 16, y: box.bottom, top: box.top };
}
