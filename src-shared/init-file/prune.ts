import { formatPath, type PathKey, type SourceEntry, type SourceMap, type SourceNode } from './source.ts';

/** A document without its erroneous parts. */
export interface Pruned {
  readonly document: SourceMap;
  /** Whether a problem at this path (`domains.web.disks[0]`) may be only a consequence of what was removed. */
  hides(path: string): boolean;
}

/**
 * Removes from a document everything at one of the offsets, so that the rest can be checked too and all errors are reported at once.
 * Lists whose items are referred to by number (`disks`, `nics`) keep their length.
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
      // Without its prototype, the VM's other keys are unknown.
      broken.push(formatPath(entry.key === 'based-on' ? path : here));
      continue;
    }
    const inner = pruneNode(entry.node, offsets, here, broken);
    if (inner !== undefined) kept.push({ ...entry, node: inner });
  }
  return kept;
}

/** Returns undefined when nothing of the node is left. */
function pruneNode(node: SourceNode, offsets: ReadonlySet<number>, path: readonly PathKey[], broken: string[]): SourceNode | undefined {
  if (node.kind === 'scalar') return node;
  if (node.kind === 'map') return { ...node, entries: pruneEntries(node, offsets, path, broken) };
  const numbered = path.at(-1) === 'disks' || path.at(-1) === 'nics';
  const items: SourceNode[] = [];
  for (const [index, item] of node.items.entries()) {
    // A mapping in a list has the same offset as its first key; the error concerns only the key.
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
