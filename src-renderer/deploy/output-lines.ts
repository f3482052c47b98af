import { cleanLine } from '../../src-shared/clean-text.ts';
import type { DeployOutput } from '../../src-shared/deploy.ts';

/** Lines in a block, which is drawn as a whole and only once when it is full. */
const BLOCK_LINES = 200;
const BLOCKS = 25;
/** Longer lines are cut into several. */
const LINE = 4000;

/** A run of lines; `id` counts the blocks of an output. */
export interface OutputBlock {
  readonly id: number;
  readonly lines: readonly string[];
}

/** The end of a script's output as a view keeps it. */
export interface OutputLines {
  readonly blocks: readonly OutputBlock[];
  /** What follows the last line break, uncleaned. */
  readonly rest: string;
  /** Whether the beginning was left out. */
  readonly cut: boolean;
}

export const NO_OUTPUT: OutputLines = { blocks: [], rest: '', cut: false };

/** Adds a piece; only the last 5000 lines or so are kept. */
export function addOutput(output: OutputLines, { text, skipped }: DeployOutput): OutputLines {
  // Nothing says where in a line the next piece begins.
  const before = skipped > 0 ? NO_OUTPUT : output;
  const lines = (before.rest + text).split('\n');
  let rest = lines.pop() ?? '';
  for (; rest.length > LINE; rest = rest.slice(LINE)) lines.push(rest.slice(0, LINE));
  const clean = lines.flatMap((line) => pieces(cleanLine(line)));
  const blocks = [...before.blocks];
  let last = blocks.pop() ?? { id: (output.blocks.at(-1)?.id ?? -1) + 1, lines: [] };
  for (let from = 0; from < clean.length; ) {
    const room = BLOCK_LINES - last.lines.length;
    last = { id: last.id, lines: [...last.lines, ...clean.slice(from, from + room)] };
    from += room;
    if (last.lines.length < BLOCK_LINES) continue;
    blocks.push(last);
    last = { id: last.id + 1, lines: [] };
  }
  if (last.lines.length > 0) blocks.push(last);
  return { blocks: blocks.slice(-BLOCKS), rest, cut: output.cut || skipped > 0 || blocks.length > BLOCKS };
}

function pieces(line: string): readonly string[] {
  if (line.length <= LINE) return [line];
  return Array.from({ length: Math.ceil(line.length / LINE) }, (_, index) => line.slice(index * LINE, (index + 1) * LINE));
}
