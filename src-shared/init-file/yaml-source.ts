import { isAlias, isMap, isScalar, isSeq, type Node, type Pair, type ParsedNode, parseAllDocuments, type YAMLMap } from 'yaml';
import { repeatedKey } from './json-source.ts';
import { MAX_DEPTH, type SourceEntry, type SourceMap, type SourceNode, type SourceProblem, type SourceResult } from './source.ts';
import { PYYAML_SCALARS } from './yaml-scalars.ts';

/** Maximum number of values in a document once aliases are resolved. The largest real file has under a thousand. */
const MAX_NODES = 50_000;
const MAX_PROBLEMS = 50;
const TOO_MANY = 'The aliases of this file multiply to too many values.';

class YamlLimit extends Error {
  readonly offset: number;

  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

/**
 * Reads YAML as PyYAML does (version 1.1: merge keys, `yes`/`no`, octal and base-60 numbers), with the position of every key and value.
 * Aliases are resolved up to a limit, which bounds the size of the tree. Never throws.
 */
export function readYamlSource(text: string): SourceResult {
  const deep = tooDeep(text);
  if (deep !== undefined) return failed(deep, `Values are nested more than ${MAX_DEPTH} levels deep.`);
  try {
    return readDocument(text);
  } catch (error) {
    if (error instanceof YamlLimit) return failed(error.offset, error.message);
    if (error instanceof RangeError) return failed(0, `Values are nested more than ${MAX_DEPTH} levels deep.`);
    return failed(0, `The text cannot be read as YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** Maximum number of open brackets, counting those in strings and comments: enough for real files, and safe for the parser's stack. */
const MAX_BRACKETS = 300;

/** Offset at which nesting gets too deep for the parser, whose time grows with the square of the depth. */
function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > MAX_BRACKETS) return at;
    } else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1;
  }
  const marks = /(?:[-?:][ \t]+){80}/.exec(text);
  return marks?.index;
}

function failed(offset: number, message: string): SourceResult {
  return { root: undefined, problems: [{ offset, severity: 'error', message }] };
}

function readDocument(text: string): SourceResult {
  const documents = parseAllDocuments(text, {
    version: '1.1',
    customTags: (tags) => [...tags.filter((tag) => typeof tag === 'object' && /:(map|seq|str)$/.test(tag.tag)), ...PYYAML_SCALARS],
    merge: false,
    uniqueKeys: false,
    stringKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const first = Array.isArray(documents) ? documents[0] : undefined;
  if (first === undefined || first.contents === null) return failed(0, 'The file is empty.');
  const slashes = first.errors.length > 0 ? /(?:^|[\s,{[])(\/\/|\/\*)/m.exec(text) : null;
  if (slashes !== null) {
    const offset = slashes.index + slashes[0].length - 2;
    const message = `${slashes[1] ?? ''} does not begin a comment in JSON or YAML.`;
    return { root: undefined, problems: [{ offset, severity: 'error', message, hint: 'Begin comments with #.' }] };
  }
  const problems: SourceProblem[] = [];
  for (const found of [...first.errors, ...first.warnings].slice(0, MAX_PROBLEMS))
    problems.push(explain(found.code, found.message, found.pos[0], text));
  if (Array.isArray(documents) && documents.length > 1) {
    problems.push({
      offset: documents[1]?.contents?.range?.[0] ?? text.length,
      severity: 'error',
      message: 'A second YAML document begins here.',
      hint: 'An init file is one document; remove the line with three dashes.',
    });
  }
  if (problems.length > 0) return { root: undefined, problems };
  const converter = new Converter(text);
  const root = converter.convert(first.contents, 0);
  return { root: converter.problems.some((problem) => problem.severity === 'error') ? undefined : root, problems: converter.problems };
}

function explain(code: string, message: string, offset: number, text: string): SourceProblem {
  const lineStart = text.lastIndexOf('\n', offset - 1) + 1;
  const lineEnd = text.indexOf('\n', offset);
  const line = text.slice(lineStart, lineEnd === -1 ? undefined : lineEnd);
  const tab = /^ *\t/.exec(line);
  if (tab !== null || code === 'TAB_AS_INDENT') {
    const at = tab === null ? offset : lineStart + tab[0].length - 1;
    return {
      offset: at,
      severity: 'error',
      message: 'A tab is used to indent; YAML allows only spaces there.',
      hint: 'Replace the tab by spaces.',
    };
  }
  if (code === 'TAG_RESOLVE_FAILED') {
    const name = /!\S*/.exec(text.slice(offset, offset + 80))?.[0] ?? 'This tag';
    return {
      offset,
      severity: 'error',
      message: `${name} is a YAML tag that an init file cannot have.`,
      hint: 'Remove the tag and keep the value.',
    };
  }
  if (code === 'BAD_ALIAS' || /alias/i.test(message)) {
    return {
      offset,
      severity: 'error',
      message: `${message.replace(/\.?$/, '')}.`,
      hint: 'An anchor (&name) must stand before the alias (*name) that uses it.',
    };
  }
  return { offset, severity: 'error', message: `${firstLine(message)}.` };
}

function firstLine(message: string): string {
  return (message.split('\n')[0] ?? message).replace(/[.:]$/, '');
}

class Converter {
  readonly problems: SourceProblem[] = [];
  readonly #text: string;
  readonly #anchors = new Map<string, Node>();
  readonly #open = new Set<Node>();
  #nodes = 0;

  constructor(text: string) {
    this.#text = text;
  }

  convert(node: Node | null, depth: number, fallback = 0): SourceNode {
    const offset = node?.range?.[0] ?? fallback;
    this.#nodes += 1;
    if (this.#nodes > MAX_NODES) throw new YamlLimit(offset, TOO_MANY);
    if (depth > MAX_DEPTH) throw new YamlLimit(offset, `Values are nested more than ${MAX_DEPTH} levels deep.`);
    if (node === null) return { kind: 'scalar', value: null, offset, text: '', block: false };
    if (isAlias(node)) return this.#follow(node.source, offset, depth);
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) this.#anchors.set(node.anchor, node);
    if (isMap(node)) return this.#inside(node, () => this.#map(node, offset, depth));
    if (isSeq(node)) {
      return this.#inside(node, () => ({
        kind: 'list',
        items: node.items.map((item) => this.convert(item as ParsedNode | null, depth + 1, offset)),
        offset,
      }));
    }
    return this.#scalar(node, offset);
  }

  #inside(node: Node, make: () => SourceNode): SourceNode {
    this.#open.add(node);
    const made = make();
    this.#open.delete(node);
    return made;
  }

  #follow(name: string, offset: number, depth: number): SourceNode {
    const target = this.#anchors.get(name);
    if (target === undefined) throw new YamlLimit(offset, `The alias *${name} has no anchor &${name} before it.`);
    if (this.#open.has(target)) throw new YamlLimit(offset, `The alias *${name} is inside the value that it refers to.`);
    return this.convert(target, depth + 1, offset);
  }

  #scalar(node: Node, offset: number): SourceNode {
    const raw: unknown = isScalar(node) ? node.value : null;
    const value = raw === null || typeof raw === 'string' || typeof raw === 'number' || typeof raw === 'boolean' ? raw : '';
    const source = isScalar(node) && typeof node.source === 'string' ? node.source : String(value);
    const block = isScalar(node) && (node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED');
    return { kind: 'scalar', value, offset, text: source, block };
  }

  #map(node: YAMLMap, offset: number, depth: number): SourceMap {
    const own = new Map<string, SourceEntry>();
    const merged = new Map<string, SourceEntry>();
    for (const pair of node.items as Pair<Node | null, Node | null>[]) {
      const keyOffset = pair.key?.range?.[0] ?? offset;
      const keyNode = this.convert(pair.key, depth + 1, offset);
      if (keyNode.kind !== 'scalar') {
        this.problems.push(this.#badKey(keyOffset));
        continue;
      }
      if (isPlainMergeKey(pair.key)) {
        this.#merge(pair.value, merged, keyOffset, depth);
        continue;
      }
      const key = keyNode.value === null ? 'null' : typeof keyNode.value === 'number' ? keyNode.text : String(keyNode.value);
      if (own.has(key)) this.problems.push(repeatedKey(key, keyOffset));
      own.set(key, { key, keyOffset, node: this.convert(pair.value, depth + 1, keyOffset) });
    }
    // As in PyYAML, merged keys come first and the mapping's own keys override them.
    const entries = new Map(merged);
    for (const [key, entry] of own) entries.set(key, entry);
    return { kind: 'map', entries: [...entries.values()], offset };
  }

  #merge(value: Node | null, into: Map<string, SourceEntry>, offset: number, depth: number): void {
    const source = this.convert(value, depth + 1, offset);
    const parts = source.kind === 'list' ? source.items : [source];
    for (const part of parts) {
      if (part.kind !== 'map') {
        this.problems.push({ offset, severity: 'error', message: 'The merge key << needs a mapping or a list of mappings.' });
        return;
      }
      for (const entry of part.entries) if (!into.has(entry.key)) into.set(entry.key, entry);
    }
  }

  #badKey(offset: number): SourceProblem {
    const jinja = this.#text.startsWith('{{', offset);
    return {
      offset,
      severity: 'error',
      message: jinja ? 'A Jinja2 expression stands here.' : 'A key must be one word or a string, not a list or a mapping.',
    };
  }
}

function isPlainMergeKey(key: Node | null): boolean {
  return isScalar(key) && key.type === 'PLAIN' && key.source === '<<';
}
