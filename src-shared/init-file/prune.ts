import { formatPath, type PathKey, type SourceEntry, type SourceMap, type SourceNode } from './source.ts';

/** A document without what is wrong in it. */
export interface Pruned {
  readonly document: SourceMap;
  /** Whether something that is said about this place (`domains.web.disks[0]`) may only follow from what was taken away. */
  hides(path: string): boolean;
}

/**
 * Takes everything that stands at one of the offsets out of a document, so that the rest of it can be looked at as well and all that is
 * wrong with a file is told at once. A list keeps its length where others count its items by number (`disks`, `nics`).
 */
export function prune(document: SourceMap, offsets: ReadonlySet<number>): Pruned {
  const broken: string[] = [];
  const entries = pruneEntries(document, offsets, [], broken);
  for (const key of ['domains', 'nets']) {
    if (entries.some((entry) => entry.key === key)) continue;
    entries.push({ key, keyOffset: document.offset, node: { kind: 'map', entries: [], offset: document.offset } });
    broken.push(key);
  }
  const netsBroken = broken.some((path) => covers('nets', path));
  return {
    document: { ...document, entries },
    hides: (path) => broken.some((place) => covers(place, path) || covers(path, place)) || (netsBroken && /\.nics(?:\[|$)/.test(path)),
  };
}

function pruneEntries(node: SourceMap, offsets: ReadonlySet<number>, path: readonly PathKey[], broken: string[]): SourceEntry[] {
  const kept: SourceEntry[] = [];
  for (const entry of node.entries) {
    const here = [...path, entry.key];
    const isScalar = entry.node.kind === 'scalar';
    if (offsets.has(entry.keyOffset) || (isScalar && offsets.has(entry.node.offset))) {
      // Without its prototype nobody knows what else the VM has.
      broken.push(formatPath(entry.key === 'based-on' ? path : here));
      continue;
    }
    const inner = pruneNode(entry.node, offsets, here, broken);
    if (inner !== undefined) kept.push({ ...entry, node: inner });
  }
  return kept;
}

/** Undefined when nothing of it is left. */
function pruneNode(node: SourceNode, offsets: ReadonlySet<number>, path: readonly PathKey[], broken: string[]): SourceNode | undefined {
  if (node.kind === 'scalar') return node;
  if (node.kind === 'map') return { ...node, entries: pruneEntries(node, offsets, path, broken) };
  const numbered = path.at(-1) === 'disks' || path.at(-1) === 'nics';
  const items: SourceNode[] = [];
  for (const [index, item] of node.items.entries()) {
    // A mapping in a list begins where its first key does; only that key is meant then.
    const isBroken = item.kind !== 'map' && offsets.has(item.offset);
    if (isBroken) broken.push(formatPath([...path, index]));
    const inner = isBroken ? undefined : pruneNode(item, offsets, [...path, index], broken);
    if (inner !== undefined) items.push(inner);
    else if (numbered) items.push({ kind: 'map', entries: [], offset: item.offset });
  }
  return { ...node, items };
}

function covers(outer: string, inner: string): boolean {
  return inner.startsWith(outer) && (inner.length === outer.length || '.['.includes(inner.charAt(outer.length)));
}
