import type { KeyboardEvent } from 'react';

/** Moves the focus between the rows of a table that can have it, by arrow keys, Home and End; returns whether it handled the key. */
export function moveRow(event: KeyboardEvent<HTMLTableRowElement>): boolean {
  const rows = [...(event.currentTarget.closest('tbody')?.querySelectorAll<HTMLElement>('tr[tabindex]') ?? [])];
  const index = rows.indexOf(event.currentTarget);
  const steps: Readonly<Record<string, number>> = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: rows.length - 1 };
  const next = steps[event.key];
  if (next === undefined) return false;
  rows[next]?.focus();
  return true;
}
