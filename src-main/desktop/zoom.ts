import type { Input } from 'electron';

export type ZoomStep = 'in' | 'out' | 'reset';

/** The zoom steps of browsers. */
const FACTORS = [0.5, 0.67, 0.75, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 1.75, 2, 2.5, 3] as const;
/** Tolerance: Chromium stores factors as logarithms, so it does not return exactly what was set. */
const CLOSE = 0.01;

/**
 * The zoom step of a key, undefined if it has none: Ctrl with `=` or `+`, `-` and `0`, on the main keyboard and the number pad. Ctrl+_
 * is left to terminals, where it means undo.
 */
export function zoomStep(input: Pick<Input, 'type' | 'key' | 'code' | 'control' | 'alt' | 'meta'>): ZoomStep | undefined {
  if (input.type !== 'keyDown' || !input.control || input.alt || input.meta) return undefined;
  if (input.key === '=' || input.key === '+' || input.code === 'NumpadAdd') return 'in';
  if (input.key === '-' || input.code === 'NumpadSubtract') return 'out';
  if (input.key === '0' || input.code === 'Digit0' || input.code === 'Numpad0') return 'reset';
  return undefined;
}

/** The factor after a step from `present`; never beyond the first or last factor. */
export function zoomAfter(present: number, step: ZoomStep): number {
  if (step === 'reset') return 1;
  if (step === 'in') return FACTORS.find((factor) => factor > present + CLOSE) ?? present;
  return FACTORS.findLast((factor) => factor < present - CLOSE) ?? present;
}
