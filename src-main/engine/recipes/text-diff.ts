import { open } from 'node:fs/promises';
import type { StructuredPatchHunk } from 'diff';
import { type DiffLine, MAX_DIFF_LINES, type TextDiff } from '../../../src-shared/collection.ts';

/** Bytes; larger files are not compared by line. */
export const MAX_DIFF_SIZE = 4 * 1024 * 1024;
/** The fewest changes are looked for this long, during which nothing else is done; then all between the first and the last one is shown. */
const TIME_MS = 400;
const CONTEXT = 3;
/** Characters shown of a line. */
const MAX_LINE = 2000;

/** How a text differs from another, by line, with three lines around each change. A file that is not there (undefined) is empty. */
export async function diffFiles(before: string | undefined, after: string | undefined): Promise<TextDiff> {
  const [old, now] = await Promise.all([textOf(before), textOf(after)]);
  if (typeof old === 'symbol' || typeof now === 'symbol') {
    return { problem: old === LARGE || now === LARGE ? 'large' : 'binary', lines: [], added: 0, removed: 0 };
  }
  const { structuredPatch } = await import('diff');
  const patch = structuredPatch('before', 'after', old, now, undefined, undefined, { context: CONTEXT, timeout: TIME_MS });
  return linesOf(patch?.hunks ?? [coarseHunk(old.split('\n'), now.split('\n'))]);
}

type Hunk = Pick<StructuredPatchHunk, 'oldStart' | 'newStart' | 'lines'>;

/** One change from the first line that differs to the last one. */
function coarseHunk(old: readonly string[], now: readonly string[]): Hunk {
  const most = Math.min(old.length, now.length);
  let head = 0;
  while (head < most && old[head] === now[head]) head++;
  let tail = 0;
  while (tail < most - head && old.at(-1 - tail) === now.at(-1 - tail)) tail++;
  const from = Math.max(0, head - CONTEXT);
  return {
    oldStart: from + 1,
    newStart: from + 1,
    lines: [
      ...old.slice(from, head).map((line) => ` ${line}`),
      ...old.slice(head, old.length - tail).map((line) => `-${line}`),
      ...now.slice(head, now.length - tail).map((line) => `+${line}`),
      ...now.slice(now.length - tail, now.length - tail + CONTEXT).map((line) => ` ${line}`),
    ],
  };
}

const LARGE = Symbol('large');
const BINARY = Symbol('binary');

async function textOf(path: string | undefined): Promise<string | typeof LARGE | typeof BINARY> {
  if (path === undefined) return '';
  const file = await open(path, 'r');
  try {
    if ((await file.stat()).size > MAX_DIFF_SIZE) return LARGE;
    const bytes = await file.readFile();
    return bytes.includes(0) ? BINARY : bytes.toString();
  } finally {
    await file.close();
  }
}

function linesOf(hunks: readonly Hunk[]): TextDiff {
  const all = hunks.flatMap((hunk, index): DiffLine[] => {
    let [before, after] = [hunk.oldStart, hunk.newStart];
    const lines = hunk.lines.map((line): DiffLine => {
      const text = line.slice(1, 1 + MAX_LINE);
      switch (line[0]) {
        case '+':
          return { kind: 'added', before: null, after: after++, text };
        case '-':
          return { kind: 'removed', before: before++, after: null, text };
        case '\\':
          return { kind: 'note', before: null, after: null, text: text.trim() };
        default:
          return { kind: 'same', before: before++, after: after++, text };
      }
    });
    return index === 0 && hunk.oldStart <= 1 ? lines : [{ kind: 'gap', before: null, after: null, text: '' }, ...lines];
  });
  const counted = (kind: DiffLine['kind']): number => all.filter((line) => line.kind === kind).length;
  return { problem: null, lines: all.slice(0, MAX_DIFF_LINES), added: counted('added'), removed: counted('removed') };
}
