/** Text in one colour. */
export interface ColouredText {
  readonly text: string;
  /** 0 to 7 as in terminals: black, red, green, yellow, blue, magenta, cyan, white; null for the usual colour. */
  readonly colour: number | null;
  readonly bold: boolean;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences begin with one
const SEQUENCE = /\u001b(?:\[([0-9;]*)([A-Za-z])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)|[()][A-Za-z0-9]|[A-Za-z0-9=>])/g;

/** Splits text with terminal escapes into coloured pieces. Escapes that are not about colours are dropped. */
export function colouredText(text: string): readonly ColouredText[] {
  const pieces: ColouredText[] = [];
  let colour: number | null = null;
  let bold = false;
  let at = 0;
  const push = (piece: string): void => {
    if (piece !== '') pieces.push({ text: piece, colour, bold });
  };
  for (const match of text.matchAll(SEQUENCE)) {
    push(text.slice(at, match.index));
    at = match.index + match[0].length;
    if (match[2] !== 'm') continue;
    for (const code of (match[1] ?? '').split(';').map(Number)) {
      if (code === 0) [colour, bold] = [null, false];
      else if (code === 1) bold = true;
      else if (code === 22) bold = false;
      else if (code === 39) colour = null;
      else if (code >= 30 && code <= 37) colour = code - 30;
      else if (code >= 90 && code <= 97) colour = code - 90;
    }
  }
  push(text.slice(at));
  return pieces;
}
