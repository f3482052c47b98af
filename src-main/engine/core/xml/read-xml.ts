import { SaxesParser } from 'saxes';
import { EngineError, type ErrorCode } from '../../../../src-shared/errors.ts';

/** An element of an XML document. Names keep their prefix: `lago:prefix` is not the same as `prefix`. */
export interface XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: readonly XmlElement[];
  /** The element's own text without that of its children, including white space; lines end with `\n`. */
  readonly text: string;
}

export interface ReadXmlOptions {
  /** Subject of an error message: "The description of VM vm0". */
  readonly what?: string;
  /** Code of a parse error; default `hypervisor.failed`, since libvirt is the usual source. */
  readonly code?: ErrorCode;
  /** Default 16 MiB of characters. */
  readonly maxLength?: number;
}

const MAX_LENGTH = 16 * 1024 * 1024;
const MAX_DEPTH = 200;

interface Open extends XmlElement {
  readonly children: XmlElement[];
  text: string;
}

/**
 * Parses an XML document into plain values. Safe for untrusted input: no document type, no entities but XML's five and numeric ones,
 * nothing is fetched, length and depth are limited, time is linear. Comments and processing instructions are dropped.
 */
export function readXml(text: string, options: ReadXmlOptions = {}): XmlElement {
  const maxLength = options.maxLength ?? MAX_LENGTH;
  const parser = new SaxesParser();
  const stack: Open[] = [];
  let root: XmlElement | undefined;

  function refuse(why: string): EngineError {
    const { line } = parser;
    return new EngineError(options.code ?? 'hypervisor.failed', `${options.what ?? 'The XML'} cannot be read: ${why} in line ${line}.`, {
      details: { line },
    });
  }

  function add(piece: string): void {
    const current = stack.at(-1);
    if (current !== undefined) current.text += piece;
  }

  if (text.length > maxLength) throw refuse(`${text.length} characters are too many (${maxLength} are allowed)`);
  parser.on('error', ({ message }) => {
    const why = message.replace(/^\d+:\d+: |\.$/g, '');
    const { position } = parser;
    const entity = text.slice(text.lastIndexOf('&', position), position);
    throw refuse(why === 'undefined entity' ? `the entity ${entity} is not allowed` : why);
  });
  parser.on('doctype', () => {
    throw refuse('a document type is not allowed');
  });
  parser.on('opentag', ({ name, attributes }) => {
    if (stack.length >= MAX_DEPTH) throw refuse(`more than ${MAX_DEPTH} levels`);
    const element: Open = { name, attributes: new Map(Object.entries(attributes)), children: [], text: '' };
    stack.at(-1)?.children.push(element);
    root ??= element;
    stack.push(element);
  });
  parser.on('closetag', () => {
    stack.pop();
  });
  parser.on('text', add);
  parser.on('cdata', add);
  parser.write(text);
  const open = stack.at(-1);
  if (open !== undefined) throw refuse(`<${open.name}> is not closed`);
  parser.close();
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
