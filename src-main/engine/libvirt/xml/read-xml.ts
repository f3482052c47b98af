import { EngineError, type ErrorCode } from '../../../../src-shared/errors.ts';

/** An element of an XML document. Names keep their prefix: `lago:prefix` is not the same as `prefix`. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The text directly in it, without that of its children, as it stands (white space too). */
  readonly text: string;
}

export interface ReadXmlOptions {
  /** What the text is, as the subject of an error message: "The description of VM vm0". */
  readonly what?: string;
  /** Code of the error when it cannot be read; default `hypervisor.failed`, since libvirt is the usual source. */
  readonly code?: ErrorCode;
  /** Default 16 MiB of characters. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 16 * 1024 * 1024;
const MAX_DEPTH = 200;

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

const SPACE = /\s*/y;
const NAME = /[A-Za-z_:\u{80}-\u{10FFFF}][\w:.\-\u{80}-\u{10FFFF}]*/uy;

interface Open {
  readonly name: string;
  readonly attributes: Map<string, string>;
  readonly children: XmlElement[];
  text: string;
}

/**
 * Reads an XML document into plain values. Safe for foreign input: no document type, no entities but the five of XML and numeric ones,
 * nothing is fetched, length and depth are limited, time is linear. Comments and processing instructions are dropped.
 */
export function readXml(text: string, options: ReadXmlOptions = {}): XmlElement {
  const maxLength = options.maxLength ?? MAX_LENGTH;
  let at = 0;

  function refuse(why: string): EngineError {
    const line = text.slice(0, at).split('\n').length;
    return new EngineError(options.code ?? 'hypervisor.failed', `${options.what ?? 'The XML'} cannot be read: ${why} in line ${line}.`, {
      details: { line },
    });
  }

  function match(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0] ?? '';
    at += found.length;
    return found;
  }

  /** What stands before `end`; goes on after it. */
  function upTo(end: string, what: string): string {
    const stop = text.indexOf(end, at);
    if (stop < 0) throw refuse(`${what} without an end`);
    const found = text.slice(at, stop);
    at = stop + end.length;
    return found;
  }

  /** `raw` begins at `from`. */
  function decoded(raw: string, from: number): string {
    if (!raw.includes('&')) return raw;
    return raw.replace(/&([^;&]{0,12})(;?)/g, (_, name: string, end: string, offset: number) => {
      const character = end === ';' ? entity(name) : undefined;
      if (character !== undefined) return character;
      at = from + offset;
      throw refuse(`the entity &${name}${end} is not allowed`);
    });
  }

  function entity(name: string): string | undefined {
    if (Object.hasOwn(ENTITIES, name)) return ENTITIES[name];
    const digits = /^#(?:x([0-9a-fA-F]{1,6})|([0-9]{1,7}))$/.exec(name);
    if (digits === null) return undefined;
    const point = digits[1] !== undefined ? Number.parseInt(digits[1], 16) : Number(digits[2]);
    if (point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
    return String.fromCodePoint(point);
  }

  function readAttributes(element: string): Map<string, string> {
    const attributes = new Map<string, string>();
    for (;;) {
      const gap = match(SPACE);
      const next = text[at];
      if (next === '>' || next === '/' || next === undefined) return attributes;
      const name = match(NAME);
      if (gap === '' || name === '') throw refuse(`<${element}> is malformed`);
      match(SPACE);
      if (text[at] !== '=') throw refuse(`the attribute ${name} has no value`);
      at += 1;
      match(SPACE);
      const quote = text[at];
      if (quote !== '"' && quote !== "'") throw refuse(`the attribute ${name} has no quotes`);
      at += 1;
      const raw = upTo(quote, `the attribute ${name}`);
      if (raw.includes('<')) throw refuse(`the attribute ${name} is malformed`);
      if (attributes.has(name)) throw refuse(`the attribute ${name} stands twice`);
      attributes.set(name, decoded(raw, at - raw.length - 1));
    }
  }

  if (text.length > maxLength) throw refuse(`${text.length} characters are too many (${maxLength} are allowed)`);
  if (text.charCodeAt(0) === 0xfeff) at = 1;
  const stack: Open[] = [];
  let root: XmlElement | undefined;

  function finish(element: Open): void {
    const parent = stack.at(-1);
    if (parent !== undefined) parent.children.push(element);
    else root = element;
  }

  while (at < text.length) {
    const current = stack.at(-1);
    if (text[at] !== '<') {
      const stop = text.indexOf('<', at);
      const raw = text.slice(at, stop < 0 ? text.length : stop);
      if (current === undefined && raw.trim() !== '') throw refuse('text outside of the root element');
      if (current !== undefined) current.text += decoded(raw, at);
      at += raw.length;
    } else if (text.startsWith('<!--', at)) {
      at += 4;
      upTo('-->', 'a comment');
    } else if (text.startsWith('<![CDATA[', at)) {
      if (current === undefined) throw refuse('text outside of the root element');
      at += 9;
      current.text += upTo(']]>', 'a CDATA section');
    } else if (text.startsWith('<?', at)) {
      at += 2;
      upTo('?>', 'a processing instruction');
    } else if (text.startsWith('<!', at)) {
      throw refuse('a document type is not allowed');
    } else if (text.startsWith('</', at)) {
      at += 2;
      const name = match(NAME);
      match(SPACE);
      if (text[at] !== '>' || current === undefined || current.name !== name) throw refuse(`</${name}> has no opening tag`);
      at += 1;
      stack.pop();
      finish(current);
    } else {
      at += 1;
      const name = match(NAME);
      if (name === '') throw refuse('"<" begins no element');
      if (root !== undefined) throw refuse('a second root element');
      const element: Open = { name, attributes: readAttributes(name), children: [], text: '' };
      const empty = text[at] === '/';
      if (empty) at += 1;
      if (text[at] !== '>') throw refuse(`<${name}> has no end`);
      at += 1;
      if (empty) finish(element);
      else {
        if (stack.length >= MAX_DEPTH) throw refuse(`more than ${MAX_DEPTH} levels`);
        stack.push(element);
      }
    }
  }
  const open = stack.at(-1);
  if (open !== undefined) throw refuse(`<${open.name}> is not closed`);
  if (root === undefined) throw refuse('no element');
  return root;
}

/** The first element below `element` along `path`; undefined when a step is missing. */
export function findXml(element: XmlElement, ...path: readonly string[]): XmlElement | undefined {
  let current: XmlElement | undefined = element;
  for (const name of path) current = current?.children.find((child) => child.name === name);
  return current;
}

/** All children of that name. */
export function childrenXml(element: XmlElement, name: string): readonly XmlElement[] {
  return element.children.filter((child) => child.name === name);
}

/** The trimmed text of the first element along `path`; undefined when a step is missing. */
export function textXml(element: XmlElement, ...path: readonly string[]): string | undefined {
  return findXml(element, ...path)?.text.trim();
}
