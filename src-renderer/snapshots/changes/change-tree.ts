import type { FileChange } from '../../../src-shared/snapshot/changes.ts';

/** How many files below a folder were added, removed and changed. */
export interface ChangeCounts {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
}

/** A file or folder of the tree of changes. */
export interface ChangeNode {
  /** From the folder above; may have several parts, where a folder has only one entry. */
  readonly name: string;
  readonly path: string;
  /** What happened to itself; null for a folder that only has changes in it. */
  readonly change: FileChange | null;
  /** Of all below it, without itself. */
  readonly counts: ChangeCounts;
  /** By name. */
  readonly children: readonly ChangeNode[];
}

interface Draft {
  readonly path: string;
  change: FileChange | null;
  readonly children: Map<string, Draft>;
}

const draft = (path: string): Draft => ({ path, change: null, children: new Map() });

/** The tree of these changes; the entries of the topmost folders. */
export function changeTree(files: readonly FileChange[]): readonly ChangeNode[] {
  const root = draft('');
  for (const file of files) {
    let at = root;
    // The first part is empty, or a partition that is mounted nowhere: `vdb1:`.
    for (const part of file.path.replace(/^\//, '').split('/')) {
      let next = at.children.get(part);
      if (next === undefined) {
        next = draft(at === root && !file.path.startsWith('/') ? part : `${at.path}/${part}`);
        at.children.set(part, next);
      }
      at = next;
    }
    at.change = file;
  }
  return childrenOf(root);
}

function childrenOf(of: Draft): readonly ChangeNode[] {
  return [...of.children].sort(([one], [other]) => (one < other ? -1 : 1)).map(([name, child]) => nodeOf(name, child));
}

function nodeOf(name: string, of: Draft): ChangeNode {
  const children = childrenOf(of);
  const [only, ...more] = children;
  // A folder that nothing happened to, with one folder in it, has no line of its own.
  if (of.change === null && only !== undefined && more.length === 0 && only.children.length > 0)
    return { ...only, name: `${name}/${only.name}` };
  return { name, path: of.path, change: of.change, counts: sum(children), children };
}

function sum(nodes: readonly ChangeNode[]): ChangeCounts {
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const { change, counts: below } of nodes) {
    for (const kind of ['added', 'removed', 'changed'] as const) counts[kind] += below[kind] + (change?.change === kind ? 1 : 0);
  }
  return counts;
}
