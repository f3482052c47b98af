import type { FileRange } from '../../src-shared/collection.ts';

/** Bytes of one part of a file: what is in the page at once, however large the file is. */
export const PART = 256 * 1024;

/** Part of a file as text. */
export interface FilePart {
  /** Its first byte, and the byte after its last one. */
  readonly from: number;
  readonly to: number;
  /** Of the whole file. */
  readonly size: number;
  readonly text: string;
  /** It has bytes that no text has. */
  readonly binary: boolean;
}

/** Turns bytes from `from` on into a part that ends with a whole line, if it has one and more follows. */
export function partOf(range: FileRange, from: number): FilePart {
  const bytes = Uint8Array.from(atob(range.bytes), (letter) => letter.charCodeAt(0));
  const last = from + bytes.length >= range.size ? -1 : bytes.lastIndexOf(10);
  const whole = last < 0 ? bytes : bytes.subarray(0, last + 1);
  return {
    from,
    to: from + whole.length,
    size: range.size,
    text: new TextDecoder().decode(whole),
    binary: whole.includes(0),
  };
}

/** Where in a text a word is, ignoring case, from a place on; -1 if nowhere. */
export function findWord(text: string, word: string, from: number): number {
  return word === '' ? -1 : text.toLowerCase().indexOf(word.toLowerCase(), from);
}
