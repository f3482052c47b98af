import type { KeyOrder, Plain } from './plain.ts';

/** Escapes everything beyond printable ASCII as `\\uXXXX`, as Python's json does by default. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(/[\u007f-\uffff]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * JSON with four spaces, byte for byte as Lago 1.0 printed it. Keys are sorted as text, even if they are digits; `order: 'kept'` keeps
 * the order of the value.
 */
export function formatJson(value: Plain, order: KeyOrder = 'sorted', indent = ''): string {
  if (typeof value === 'string') return quoted(value);
  if (typeof value !== 'object' || value === null) return String(value);
  const inner = `${indent}    `;
  const entries = (): [string, Plain][] => {
    const all = Object.entries(value as { readonly [key: string]: Plain });
    return order === 'kept' ? all : all.sort(([a], [b]) => (a < b ? -1 : 1));
  };
  const parts = Array.isArray(value)
    ? (value as readonly Plain[]).map((element) => formatJson(element, order, inner))
    : entries().map(([key, child]) => `${quoted(key)}: ${formatJson(child, order, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return parts.length === 0 ? `${open}${close}` : `${open}\n${inner}${parts.join(`,\n${inner}`)}\n${indent}${close}`;
}
