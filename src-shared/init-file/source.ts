/** One key of a path into a document: a mapping's key or a list's index. */
export type PathKey = string | number;

export interface Place {
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units as editors count. */
  readonly column: number;
}

export interface SourceEntry {
  readonly key: string;
  readonly keyOffset: number;
  readonly node: SourceNode;
}

/** A document's value with its position, the same for JSON and YAML. Aliases and merge keys are already resolved. */
export type SourceNode =
  | {
      readonly kind: 'scalar';
      readonly value: string | number | boolean | null;
      readonly offset: number;
      readonly text: string;
      readonly block: boolean;
    }
  | { readonly kind: 'list'; readonly items: readonly SourceNode[]; readonly offset: number }
  | { readonly kind: 'map'; readonly entries: readonly SourceEntry[]; readonly offset: number };

export type SourceMap = Extract<SourceNode, { kind: 'map' }>;

/** A problem found while reading a text, before its meaning is checked. */
export interface SourceProblem {
  readonly offset: number;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly hint?: string;
}

export interface SourceResult {
  /** Undefined when the text cannot be read; then `problems` has at least one error. */
  readonly root: SourceNode | undefined;
  readonly problems: readonly SourceProblem[];
}

/** Maximum nesting; real files stay below ten. */
export const MAX_DEPTH = 60;

/** The entry of a mapping by its key; undefined when `node` is no mapping or has no such key. */
export function entryOf(node: SourceNode | undefined, key: string): SourceEntry | undefined {
  return node?.kind === 'map' ? node.entries.find((entry) => entry.key === key) : undefined;
}

/** The plain value of a node. Mappings keep the order of the text, except that JavaScript moves keys like "12" to the front. */
export function valueOf(node: SourceNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(valueOf);
  const value: Record<string, unknown> = {};
  for (const entry of node.entries) {
    Object.defineProperty(value, entry.key, { value: valueOf(entry.node), enumerable: true, writable: true, configurable: true });
  }
  return value;
}

/** Offset of the value at `path` (for mapping entries, of the key), or of the deepest part of the path that exists. */
export function offsetOf(root: SourceNode, path: readonly PathKey[]): number {
  let node = root;
  let offset = root.offset;
  for (const key of path) {
    if (node.kind === 'map') {
      const entry = entryOf(node, String(key));
      if (entry === undefined) return offset;
      node = entry.node;
      offset = entry.keyOffset;
    } else {
      const item: SourceNode | undefined = node.kind === 'list' ? node.items[Number(key)] : undefined;
      if (item === undefined) return offset;
      node = item;
      offset = item.offset;
    }
  }
  return offset;
}

/** Converts offsets of a text to lines and columns in logarithmic time. */
export function lineIndex(text: string): (offset: number) => Place {
  const starts = [0];
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (offset) => {
    const wanted = Math.max(0, Math.min(offset, text.length));
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] as number) <= wanted) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: wanted - (starts[low] as number) + 1 };
  };
}

/** Formats a path as `domains.web.nics[0].net`; ambiguous keys are quoted, as in `domains["a.b"]`. */
export function formatPath(path: readonly PathKey[]): string {
  let text = '';
  for (const key of path) {
    if (typeof key === 'number') text += `[${key}]`;
    else if (/^[\w-]+$/.test(key)) text += text === '' ? key : `.${key}`;
    else text += `[${JSON.stringify(key.length > 80 ? `${key.slice(0, 77)}...` : key)}]`;
  }
  return text;
}
