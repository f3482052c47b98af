import { formatBytes } from '../src-shared/bytes.ts';

/** Formats MiB: `512 MiB`, `16 GiB`. */
export function formatMemory(mebibytes: number): string {
  return formatBytes(mebibytes * 1024 * 1024);
}

/** A duration in milliseconds in its two largest units: `6 s`, `4 m 10 s`, `2 h 5 m`, `3 d 4 h`. */
export function formatDuration(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return seconds % 60 === 0 ? `${minutes} m` : `${minutes} m ${seconds % 60} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} m`;
  const days = Math.floor(hours / 24);
  return hours % 24 === 0 ? `${days} d` : `${days} d ${hours % 24} h`;
}

/** A running duration in milliseconds: in seconds during its first minute, then in minutes. `41 s`, `4 m`, `2 h 5 m`. */
export function formatUptime(milliseconds: number): string {
  const minute = 60_000;
  return formatDuration(milliseconds < minute ? milliseconds : Math.floor(milliseconds / minute) * minute);
}

/** How long ago, in its largest unit: `just now`, `4 m ago`, `2 h ago`, `3 d ago`. */
export function formatAgo(then: number, now: number): string {
  const span = now - then;
  if (span < 45_000) return 'just now';
  return `${formatDuration(span).split(' ').slice(0, 2).join(' ')} ago`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;

/** Clock time: `14:05`. */
export function clockOf(time: number): string {
  const date = new Date(time);
  return `${String(date.getHours()).padStart(2, '0')}:${String(date.getMinutes()).padStart(2, '0')}`;
}

/** The day without its year: `22 Nov`. */
export function dayOf(time: number): string {
  const date = new Date(time);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

/** Clock time `14:05`, preceded by the date (`22 Nov 14:05`) when it is not the day of `now`. */
export function formatClock(time: number, now: number): string {
  const today = new Date(now).toDateString() === new Date(time).toDateString();
  return today ? clockOf(time) : `${dayOf(time)} ${clockOf(time)}`;
}

/** A date: `5 Oct 2026`. */
export function formatDate(time: number): string {
  const date = new Date(time);
  return `${date.getDate()} ${MONTHS[date.getMonth()]} ${date.getFullYear()}`;
}

/** A fraction 0..1 as whole percent; never 100 % before it is 1. */
export function formatFraction(fraction: number): string {
  const percent = Math.floor(Math.min(1, Math.max(0, fraction)) * 100);
  return `${percent} %`;
}

/** `1 VM`, `2 VMs`; irregular words give their own plural. */
export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** The /24 of a gateway address (Lago's networks are all /24): `192.168.200.1` → `192.168.200.0/24`. Null for anything else. */
export function subnetOf(gateway: string | null): string | null {
  const match = gateway === null ? null : /^(\d+\.\d+\.\d+)\.\d+$/.exec(gateway);
  return match === null ? null : `${match[1]}.0/24`;
}

/** Last component of a path, with either separator. */
export function baseName(path: string): string {
  return (
    path
      .split(/[/\\]/)
      .filter((part) => part !== '')
      .at(-1) ?? path
  );
}

/** Joins the non-empty parts with ` · `. */
export function dots(...parts: readonly (string | null | undefined | false)[]): string {
  return parts.filter((part): part is string => typeof part === 'string' && part !== '').join(' · ');
}
