import type { KeyboardEvent } from 'react';

/** The row that an arrow key leads to from a table's focused row; undefined for another key or at the end. */
export function rowSibling({ key, currentTarget }: KeyboardEvent<HTMLTableRowElement>): HTMLElement | undefined {
  const { nextElementSibling: next, previousElementSibling: previous } = currentTarget;
  const sibling = key === 'ArrowDown' ? next : key === 'ArrowUp' ? previous : null;
  return sibling instanceof HTMLElement ? sibling : undefined;
}
