import { quote } from '../../../../src-shared/init-file/name-rules.ts';

/** What a value is read as, or the sentence that says why it cannot be. */
export type Read<T> = { readonly value: T } | { readonly problem: string };

const YES = /^(?:1|yes|true|on|enabled?)$/i;
const NO = /^(?:0|no|false|off|disabled?)$/i;

/** A switch as dnf, yum and apt write it. */
export function readFlag(text: string): Read<boolean> {
  if (YES.test(text)) return { value: true };
  if (NO.test(text)) return { value: false };
  return { problem: `${quote(text)} is neither yes nor no.` };
}

/** A whole number in a range. */
export function readWhole(text: string, minimum: number, maximum: number): Read<number> {
  const value = /^-?\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= minimum && value <= maximum) return { value };
  return { problem: `${quote(text)} is not a whole number from ${minimum} to ${maximum}.` };
}

const UNITS: Readonly<Record<string, number>> = { '': 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** A time as `30`, `30s`, `5m`, `1.5h` or `2d`, in seconds. */
export function readSeconds(text: string): Read<number> {
  const [, number, unit = ''] = /^(\d{1,9}(?:\.\d{1,3})?)\s*([smhd]?)$/i.exec(text) ?? [];
  if (number === undefined) return { problem: `${quote(text)} is not a time such as 30, 30s or 5m.` };
  return { value: Number(number) * (UNITS[unit.toLowerCase()] ?? 1) };
}

/** Which addresses of a server are used; undefined for any. */
export function readIpVersion(text: string): Read<4 | 6 | undefined> {
  if (/^(?:ip\s*v?)?4$/i.test(text)) return { value: 4 };
  if (/^(?:ip\s*v?)?6$/i.test(text)) return { value: 6 };
  if (/^(?:whatever|any)?$/i.test(text)) return { value: undefined };
  return { problem: `${quote(text)} is neither 4 nor 6.` };
}

/** Why files cannot be fetched from an address; undefined when they can. */
export function urlProblem(text: string): string | undefined {
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined) return `${quote(text)} is no URL: it does not begin with http:, https: or file:.`;
  if (!['http', 'https', 'file'].includes(scheme)) return `${quote(text)} cannot be fetched: only http, https and file can.`;
  // Variables that nothing has replaced may stand where a URL could not have them.
  const plain = text.replace(/\$\{?\w+\}?/g, 'x');
  if (!URL.canParse(plain) || (scheme !== 'file' && new URL(plain).hostname === '')) return `${quote(text)} is no valid URL.`;
  return undefined;
}
