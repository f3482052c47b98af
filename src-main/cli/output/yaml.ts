import type { Plain } from './plain.ts';

const BEST_WIDTH = 80;
/** 128 minus the five characters of the tag `!!str`, which the emitter counts without writing them. */
const MAX_SIMPLE_KEY = 123;
const BREAKS = '\n\u0085\u2028\u2029';

/** Strings that YAML 1.1 would read as another type and that must be quoted. */
const RESOLVED = [
  /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/,
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/,
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/,
  /^(?:<<|=|~|null|Null|NULL|)$/,
  /^[0-9]{4}-[0-9]{2}-[0-9]{2}$/,
  /^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?$/,
];

const ESCAPES: Readonly<Record<string, string>> = {
  '\0': '0',
  '\u0007': 'a',
  '\b': 'b',
  '\t': 't',
  '\n': 'n',
  '\v': 'v',
  '\f': 'f',
  '\r': 'r',
  '\u001b': 'e',
  '"': '"',
  '\\': '\\',
  '\u0085': 'N',
  '\u00a0': '_',
  '\u2028': 'L',
  '\u2029': 'P',
};

interface Analysis {
  readonly multiline: boolean;
  readonly plain: boolean;
  readonly singleQuoted: boolean;
}

function isSpace(character: string | undefined): boolean {
  return character === undefined || '\0 \t\r\n\u0085\u2028\u2029'.includes(character);
}

/** Which styles can represent a text, by the rules of Lago's YAML 1.1 emitter (block context, ASCII only). */
function analyse(text: readonly string[]): Analysis {
  const first = text[0];
  const last = text.at(-1);
  if (first === undefined || last === undefined) return { multiline: false, plain: false, singleQuoted: true };
  const start = text.slice(0, 3).join('');
  let indicator = start === '---' || start === '...';
  let lineBreaks = false;
  let special = false;
  let breakSpace = false;
  let spaceBreak = false;
  for (const [index, character] of text.entries()) {
    const before = text[index - 1];
    const spaceAfter = isSpace(text[index + 1]);
    if (index === 0) {
      if ('#,[]{}&*!|>\'"%@`'.includes(character) || ('?:-'.includes(character) && spaceAfter)) indicator = true;
    } else if ((character === ':' && spaceAfter) || (character === '#' && isSpace(before))) indicator = true;
    const isBreak = BREAKS.includes(character);
    if (isBreak) lineBreaks = true;
    if (character !== '\n' && !(character >= ' ' && character <= '~')) special = true;
    if (before !== undefined && character === ' ' && BREAKS.includes(before)) breakSpace = true;
    if (before === ' ' && isBreak) spaceBreak = true;
  }
  const edge = [first, last].some((character) => character === ' ' || BREAKS.includes(character));
  return {
    multiline: lineBreaks,
    plain: !(indicator || lineBreaks || special || breakSpace || spaceBreak || edge),
    singleQuoted: !(special || breakSpace || spaceBreak),
  };
}

class Writer {
  text = '';
  column = 0;

  write(data: string): void {
    this.text += data;
    this.column += [...data].length;
  }

  /** A line break and `indent` spaces. */
  newLine(indent: number): void {
    this.text += `\n${' '.repeat(indent)}`;
    this.column = indent;
  }

  scalar(value: string | number | boolean | null, indent: number, split: boolean): void {
    if (typeof value !== 'string') {
      this.write(value === null ? 'null' : String(value));
      return;
    }
    const characters = [...value];
    const analysis = analyse(characters);
    const asKey = !split && analysis.multiline;
    if (analysis.plain && !asKey && !RESOLVED.some((pattern) => pattern.test(value))) this.folded(characters, indent, split, false);
    else if (analysis.singleQuoted && !asKey) this.folded(characters, indent, split, true);
    else this.doubleQuoted(characters, indent, split);
  }

  /** Plain or single-quoted style: a single space beyond the best width becomes a line break; a line break becomes two. */
  folded(text: readonly string[], indent: number, split: boolean, quote: boolean): void {
    if (quote) this.write("'");
    for (let at = 0; at < text.length; ) {
      const character = text[at] as string;
      let end = at + 1;
      if (character === ' ') {
        while (text[end] === ' ') end++;
        const inside = !quote || (at !== 0 && end !== text.length);
        if (end === at + 1 && this.column > BEST_WIDTH && split && inside) this.newLine(indent);
        else this.write(text.slice(at, end).join(''));
      } else if (BREAKS.includes(character)) {
        while (end < text.length && BREAKS.includes(text[end] as string)) end++;
        this.text +=
          (character === '\n' ? '\n' : '') +
          text
            .slice(at, end - 1)
            .map((one) => (one === '\n' ? '\n' : one))
            .join('');
        this.newLine(indent);
      } else if (quote && character === "'") {
        this.write("''");
      } else {
        while (end < text.length && text[end] !== ' ' && !BREAKS.includes(text[end] as string) && !(quote && text[end] === "'")) end++;
        this.write(text.slice(at, end).join(''));
      }
      at = end;
    }
    if (quote) this.write("'");
  }

  doubleQuoted(text: readonly string[], indent: number, split: boolean): void {
    this.write('"');
    let start = 0;
    for (let end = 0; end <= text.length; end++) {
      const character = text[end];
      if (character === undefined || character === '"' || character === '\\' || !(character >= ' ' && character <= '~')) {
        if (start < end) this.write(text.slice(start, end).join(''));
        start = end;
        if (character !== undefined) {
          this.write(escaped(character));
          start = end + 1;
        }
      }
      if (end > 0 && end < text.length - 1 && (character === ' ' || start >= end) && this.column + (end - start) > BEST_WIDTH && split) {
        this.write(`${text.slice(start, end).join('')}\\`);
        if (start < end) start = end;
        this.newLine(indent);
        if (text[start] === ' ') this.write('\\');
      }
    }
    this.write('"');
  }

  node(value: Plain, indent: number, inMapping: boolean): void {
    if (typeof value !== 'object' || value === null) {
      if (this.column > 0) this.write(' ');
      this.scalar(value, indent + 2, true);
    } else if (Array.isArray(value)) {
      if (value.length === 0) this.write(this.column > 0 ? ' []' : '[]');
      else this.sequence(value as readonly Plain[], inMapping ? indent : indent + 2, inMapping);
    } else {
      const mapping = value as { readonly [key: string]: Plain };
      if (Object.keys(mapping).length === 0) this.write(this.column > 0 ? ' {}' : '{}');
      else this.mapping(mapping, indent + 2, inMapping);
    }
  }

  sequence(items: readonly Plain[], indent: number, inMapping: boolean): void {
    for (const [index, item] of items.entries()) {
      this.startEntry(indent, index === 0 && !inMapping);
      this.write('-');
      this.node(item, indent, false);
    }
  }

  mapping(mapping: { readonly [key: string]: Plain }, indent: number, inMapping: boolean): void {
    const keys = Object.keys(mapping).sort();
    for (const [index, key] of keys.entries()) {
      this.startEntry(indent, index === 0 && !inMapping);
      const simple = key !== '' && [...key].length < MAX_SIMPLE_KEY && !analyse([...key]).multiline;
      if (simple) {
        this.scalar(key, indent + 2, false);
        this.write(':');
      } else {
        this.write('? ');
        this.scalar(key, indent + 2, true);
        this.newLine(indent);
        this.write(':');
      }
      this.node(mapping[key] as Plain, indent, simple);
    }
  }

  /** Puts the first entry of a collection inside a sequence entry on the line of the dash. */
  startEntry(indent: number, onSameLine: boolean): void {
    if (onSameLine && this.column > 0) this.write(' ');
    else if (this.text !== '') this.newLine(indent);
  }
}

function escaped(character: string): string {
  const short = ESCAPES[character];
  if (short !== undefined) return `\\${short}`;
  const code = character.codePointAt(0) ?? 0;
  const hex = code.toString(16).toUpperCase();
  if (code <= 0xff) return `\\x${hex.padStart(2, '0')}`;
  return code <= 0xffff ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
}

/**
 * YAML as Lago 1.0 printed it: block style, sorted keys, quotes around strings that YAML 1.1 would read as another type, long text
 * folded at 80 columns, and a trailing newline (so printing it leaves an empty line).
 */
export function formatYaml(value: Plain): string {
  const writer = new Writer();
  writer.node(value, -2, false);
  const scalar = typeof value !== 'object' || value === null;
  return `${writer.text}\n${scalar ? '...\n' : ''}`;
}
