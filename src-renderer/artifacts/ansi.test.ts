import { expect, test } from 'vitest';
import { colouredText } from './ansi.ts';

test.each([
  ['plain', [['plain', null, false]]],
  [
    '\u001b[31mred\u001b[0m rest',
    [
      ['red', 1, false],
      [' rest', null, false],
    ],
  ],
  [
    '\u001b[1;92mbold\u001b[22m not\u001b[39m none',
    [
      ['bold', 2, true],
      [' not', 2, false],
      [' none', null, false],
    ],
  ],
  [
    '\u001b[2K\u001b]0;title\u0007a\u001b(Bb',
    [
      ['a', null, false],
      ['b', null, false],
    ],
  ],
  ['\u001b[mx', [['x', null, false]]],
  ['', []],
])('%j', (text, pieces) => {
  expect(colouredText(text).map(({ text: part, colour, bold }) => [part, colour, bold])).toEqual(pieces);
});
