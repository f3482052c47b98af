import { type Plain, pythonText } from './plain.ts';

const UNIT = '    ';

/**
 * Lago's human-readable format: sorted keys, `[key]:` before nested values, nothing for null, empty text and empty mappings.
 * As in Lago, only the first line of each mapping in a list is indented.
 */
export function formatDefault(value: Plain, indent = ''): string {
  if (typeof value !== 'object' || value === null) return pythonText(value);
  if (Array.isArray(value)) {
    const lines = (value as readonly Plain[]).map((element) => indent + formatDefault(element));
    return (indent === '' ? lines : ['', ...lines]).join('\n');
  }
  const mapping = value as { readonly [key: string]: Plain };
  const lines: string[] = [];
  for (const key of Object.keys(mapping).sort()) {
    const child = mapping[key] as Plain;
    if (child === null || child === '') continue;
    if (typeof child !== 'object' || Array.isArray(child)) {
      lines.push(`${indent}${key}: ${formatDefault(child, indent + UNIT)}`);
    } else if (Object.keys(child).length > 0) {
      lines.push(`${indent}[${key}]:`);
      const inner = formatDefault(child, indent + UNIT);
      if (inner !== '') lines.push(inner);
    }
  }
  return lines.join('\n');
}
