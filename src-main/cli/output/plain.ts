import type { Plain } from '../../engine/index.ts';

export type { KeyOrder, Plain } from '../../engine/index.ts';

/** Converts a JSON-like value to `Plain`: drops undefined members and turns values of other types into text. */
export function toPlain(value: unknown): Plain {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || typeof value === 'number') return value;
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).flatMap(([key, child]) => (child === undefined ? [] : [[key, toPlain(child)]])));
  }
  return value === undefined ? null : String(value as bigint);
}

/** A scalar as Python's str() writes it, because scripts that read Lago's output expect `True` and `None`. */
export function pythonText(value: string | number | boolean | null): string {
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return String(value);
}
