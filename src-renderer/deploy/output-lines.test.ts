import { expect, test } from 'vitest';
import { addOutput, NO_OUTPUT, type OutputLines } from './output-lines.ts';

const add = (output: OutputLines, text: string, skipped = 0): OutputLines => addOutput(output, { text, skipped });
const linesOf = (output: OutputLines): string[] => output.blocks.flatMap((block) => block.lines);

test('lines may arrive in pieces, and are shown without escape sequences', () => {
  const output = ['one\ntw', 'o\n\u001b[3', '1mred\u001b[0m\n10 %\r', '20 %\r\n', 'rest'].reduce((all, text) => add(all, text), NO_OUTPUT);
  expect(linesOf(output)).toEqual(['one', 'two', 'red', '20 %']);
  expect(output).toMatchObject({ rest: 'rest', cut: false });
});

test('full blocks stay the same, so that they are drawn once', () => {
  const first = add(NO_OUTPUT, 'x\n'.repeat(250));
  const second = add(first, 'y\n'.repeat(200));
  expect(first.blocks.map(({ id, lines }) => [id, lines.length])).toEqual([
    [0, 200],
    [1, 50],
  ]);
  expect(second.blocks.map(({ id, lines }) => [id, lines.length])).toEqual([
    [0, 200],
    [1, 200],
    [2, 50],
  ]);
  expect(second.blocks[0]).toBe(first.blocks[0]);
});

test('the beginning of a long output is dropped, and so is everything before a gap', () => {
  let output = NO_OUTPUT;
  for (let n = 0; n < 100; n++) output = add(output, `${n}\n`.repeat(100));
  expect(linesOf(output)).toHaveLength(5000);
  expect(linesOf(output).at(-1)).toBe('99');
  expect(output.cut).toBe(true);
  const gap = add(output, 'after\n', 1000);
  expect(linesOf(gap)).toEqual(['after']);
  expect(gap.blocks[0]?.id).toBeGreaterThan(output.blocks.at(-1)?.id ?? Number.NaN);
});

test('endless lines are cut', () => {
  const output = add(add(NO_OUTPUT, 'x'.repeat(9000)), `${'y'.repeat(3000)}\n`);
  expect(linesOf(output).map((line) => line.length)).toEqual([4000, 4000, 4000]);
  expect(output.rest).toBe('');
});
