import { type Plain, pythonText } from './plain.ts';

/**
 * One `a/b/c: value` per line, keys sorted. Of a status, prints only what is below `Prefix`. A list repeats its path for each element;
 * an empty one prints nothing. A top-level list prints one element per line.
 */
export function formatFlat(value: Plain): string {
  const root = isMapping(value) && value['Prefix'] !== undefined ? value['Prefix'] : value;
  const lines: string[] = [];
  walk(root, '', lines);
  return lines.join('\n');
}

function isMapping(value: Plain): value is { readonly [key: string]: Plain } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function walk(value: Plain, path: string, lines: string[]): void {
  if (Array.isArray(value)) {
    for (const element of value as readonly Plain[]) walk(element, path, lines);
  } else if (isMapping(value)) {
    for (const key of Object.keys(value).sort()) walk(value[key] as Plain, path === '' ? key : `${path}/${key}`, lines);
  } else {
    const text = pythonText(value as string | number | boolean | null);
    lines.push(path === '' ? text : `${path}: ${text}`);
  }
}
