import { MAX_DEPTH, type SourceEntry, type SourceNode, type SourceProblem, type SourceResult } from './source.ts';

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const SPACE = /[ \t\r\n]*/y;
const PLAIN_STRING = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = { '"': '"', '\\': '\\', '/': '/', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

class JsonFailure extends Error {
  readonly offset: number;
  readonly hint: string | undefined;

  constructor(offset: number, message: string, hint?: string) {
    super(message);
    this.offset = offset;
    this.hint = hint;
  }
}

/** Reads strict JSON (RFC 8259) with all positions. Stops at the first error. The last of repeated keys wins, with a warning. */
export function readJsonSource(text: string): SourceResult {
  const reader = new JsonReader(text);
  try {
    const root = reader.document();
    return { root, problems: reader.problems };
  } catch (error) {
    if (!(error instanceof JsonFailure)) throw error;
    const failure: SourceProblem = { offset: error.offset, severity: 'error', message: error.message };
    return { root: undefined, problems: [error.hint === undefined ? failure : { ...failure, hint: error.hint }] };
  }
}

class JsonReader {
  readonly problems: SourceProblem[] = [];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  document(): SourceNode {
    this.#space();
    const root = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) throw new JsonFailure(this.#at, 'There is more text after the end of the JSON value.');
    return root;
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    return pattern.exec(this.#text)?.[0] ?? '';
  }

  #space(): void {
    this.#at += this.#match(SPACE).length;
  }

  #value(depth: number): SourceNode {
    if (depth > MAX_DEPTH) throw new JsonFailure(this.#at, `Values are nested more than ${MAX_DEPTH} levels deep.`);
    const offset = this.#at;
    const first = this.#text[offset];
    if (first === '{') return this.#map(depth);
    if (first === '[') return this.#list(depth);
    if (first === '"') {
      const value = this.#string();
      return { kind: 'scalar', value, offset, text: value, block: false };
    }
    for (const [word, value] of [
      ['true', true],
      ['false', false],
      ['null', null],
    ] as const) {
      if (this.#text.startsWith(word, offset)) {
        this.#at += word.length;
        return { kind: 'scalar', value, offset, text: word, block: false };
      }
    }
    const number = this.#match(NUMBER);
    if (number !== '') {
      this.#at += number.length;
      return { kind: 'scalar', value: Number(number), offset, text: number, block: false };
    }
    if (first === undefined) throw new JsonFailure(offset, 'The text ends where a value should be.', 'Is the file cut off?');
    if (first === "'") throw new JsonFailure(offset, 'JSON strings need double quotes.');
    throw new JsonFailure(offset, `Unexpected ${show(first)}; expected a value.`);
  }

  #map(depth: number): SourceNode {
    const offset = this.#at++;
    const entries = new Map<string, SourceEntry>();
    this.#space();
    while (this.#text[this.#at] !== '}') {
      const keyOffset = this.#at;
      if (keyOffset >= this.#text.length) throw neverClosed('{', offset);
      if (this.#text[keyOffset] !== '"') {
        throw new JsonFailure(keyOffset, `Unexpected ${show(this.#text[keyOffset])}; expected a key in double quotes.`);
      }
      const key = this.#string();
      this.#space();
      if (this.#text[this.#at] !== ':')
        throw new JsonFailure(this.#at, `A colon is missing after the key ${JSON.stringify(key.slice(0, 60))}.`);
      this.#at += 1;
      this.#space();
      const node = this.#value(depth + 1);
      if (entries.has(key)) this.problems.push(repeatedKey(key, keyOffset));
      entries.set(key, { key, keyOffset, node });
      this.#separator('}', offset);
    }
    this.#at += 1;
    return { kind: 'map', entries: [...entries.values()], offset };
  }

  #list(depth: number): SourceNode {
    const offset = this.#at++;
    const items: SourceNode[] = [];
    this.#space();
    while (this.#text[this.#at] !== ']') {
      if (this.#at >= this.#text.length) throw neverClosed('[', offset);
      items.push(this.#value(depth + 1));
      this.#separator(']', offset);
    }
    this.#at += 1;
    return { kind: 'list', items, offset };
  }

  #separator(end: string, begin: number): void {
    this.#space();
    const at = this.#at;
    const found = this.#text[at];
    if (found === end) return;
    if (found === undefined) throw neverClosed(this.#text[begin], begin);
    if (found !== ',')
      throw new JsonFailure(
        at,
        `Unexpected ${show(found)}; a comma or ${show(end)} should be here.`,
        'Is a comma missing on the line before?',
      );
    this.#at += 1;
    this.#space();
    if (this.#text[this.#at] === end) throw new JsonFailure(at, `There must be no comma before ${show(end)}.`);
  }

  #string(): string {
    const begin = this.#at++;
    let value = '';
    for (;;) {
      const part = this.#match(PLAIN_STRING);
      this.#at += part.length;
      value += part;
      const next = this.#text[this.#at];
      if (next === '"') {
        this.#at += 1;
        return value;
      }
      if (next === undefined || next === '\n') throw new JsonFailure(begin, 'This string has no closing quote.');
      if (next !== '\\') throw new JsonFailure(this.#at, 'A string contains a control character; write it as an escape.');
      value += this.#escape();
    }
  }

  #escape(): string {
    const at = this.#at;
    const letter = this.#text[at + 1] ?? '';
    if (letter === 'u') {
      const digits = this.#text.slice(at + 2, at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new JsonFailure(at, 'After \\u four hexadecimal digits must follow.');
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const meaning = ESCAPES[letter];
    if (meaning === undefined) throw new JsonFailure(at, `\\${letter} is not a JSON escape.`, 'Write a backslash as \\\\.');
    this.#at += 2;
    return meaning;
  }
}

function neverClosed(bracket: string | undefined, offset: number): JsonFailure {
  return new JsonFailure(offset, `This ${show(bracket)} is never closed.`, 'Is the file cut off?');
}

/** The warning about a repeated key in a mapping. */
export function repeatedKey(key: string, offset: number): SourceProblem {
  return {
    offset,
    severity: 'warning',
    message: `The key ${JSON.stringify(key.slice(0, 60))} appears a second time; only this one counts.`,
    hint: 'Remove or rename one of the two.',
  };
}

function show(character: string | undefined): string {
  return character === undefined ? 'end of the text' : JSON.stringify(character);
}
