import {
  IconArrowBarToDown,
  IconCheck,
  IconClockCheck,
  IconCornerDownRight,
  IconExclamationCircle,
  IconFileUnknown,
} from '@tabler/icons-react';
import type { RepoAccess } from '../../src-shared/repos/repo-access.ts';
import type { Icon, Tone } from '../ui/feedback/state-mark.tsx';

/** A request with its number, which it keeps when older ones are dropped. */
export interface AccessLine {
  readonly number: number;
  readonly access: RepoAccess;
}

/** How many lines a page keeps, and how many it drops at once when there are more. */
export const MAX_LINES = 20_000;
const DROPPED = 5_000;

/** Adds requests to the lines, the newest last. */
export function addAccesses(lines: readonly AccessLine[], accesses: readonly RepoAccess[]): readonly AccessLine[] {
  const first = (lines.at(-1)?.number ?? -1) + 1;
  const all = [...lines, ...accesses.map((access, at) => ({ number: first + at, access }))];
  return all.length > MAX_LINES ? all.slice(Math.max(DROPPED, all.length - MAX_LINES)) : all;
}

/** How a request ended: never told by colour alone. */
export interface Ending {
  readonly tone: Tone;
  readonly icon: Icon;
  readonly word: string;
}

/** What an HTTP status means to who waits for packages. */
export function endingOf(status: number): Ending {
  if (status >= 500) return { tone: 'bad', icon: IconExclamationCircle, word: 'failed' };
  if (status === 404) return { tone: 'warn', icon: IconFileUnknown, word: 'not there' };
  if (status >= 400) return { tone: 'warn', icon: IconExclamationCircle, word: 'refused' };
  if (status === 304) return { tone: 'off', icon: IconClockCheck, word: 'unchanged' };
  if (status >= 300) return { tone: 'off', icon: IconCornerDownRight, word: 'elsewhere' };
  if (status === 206) return { tone: 'ok', icon: IconArrowBarToDown, word: 'a part' };
  return { tone: 'ok', icon: IconCheck, word: 'sent' };
}

/** Stands for clients that are no VM. */
export const NO_VM = '\0others';

export interface AccessFilter {
  /** A VM's name, `NO_VM`, or empty for all. */
  readonly vm: string;
  readonly text: string;
  /** Only those that got nothing. */
  readonly failed: boolean;
}

/** The lines that fit. The text is looked for in path, client and status. */
export function filterAccesses(lines: readonly AccessLine[], { vm, text, failed }: AccessFilter): readonly AccessLine[] {
  const wanted = text.trim().toLowerCase();
  if (vm === '' && wanted === '' && !failed) return lines;
  return lines.filter(({ access }) => {
    if (vm !== '' && (access.vm ?? NO_VM) !== vm) return false;
    if (failed && access.status < 400) return false;
    if (wanted === '') return true;
    const { word } = endingOf(access.status);
    return [access.path, access.vm ?? '', access.client, `${access.status}`, word].some((one) => one.toLowerCase().includes(wanted));
  });
}

/** A path as it can be read: the client chose it, and it may have anything in it. */
export function shownPath(path: string): string {
  let text = path;
  try {
    text = decodeURI(path);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
  }
  return JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll('\\\\', '\\');
}
