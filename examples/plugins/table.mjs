/** @typedef {import('lago-desktop').Plain} Plain */

/**
 * Every leaf of a value as a row: its path and its text.
 * @param {Plain} value
 * @param {readonly string[]} path
 * @returns {[string, string][]}
 */
function rows(value, path = []) {
  if (typeof value !== 'object' || value === null) return [[path.join('.'), String(value ?? '')]];
  return Object.entries(value).flatMap(([key, child]) => rows(child, [...path, key]));
}

/**
 * An output format: `lago --out-format table status`. Two columns; the first is padded to its widest entry.
 * @type {import('lago-desktop').OutputPlugin}
 */
export const table = {
  apiVersion: 1,
  kind: 'output',
  name: 'table',
  format(value) {
    const all = rows(value);
    const width = Math.max(0, ...all.map(([name]) => name.length));
    return all.map(([name, text]) => `${name.padEnd(width)} | ${text}`.trimEnd()).join('\n');
  },
};
