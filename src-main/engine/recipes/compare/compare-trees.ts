import { type Changes, type FileChange, MAX_CHANGES } from '../../../../src-shared/snapshot/changes.ts';
import type { VolumeEntry } from '../../disk/content/ext-volume.ts';
import type { FileTree } from './guest-files.ts';

/** What two listings say about the files of a VM. Pure. */

/**
 * Files that are there on both sides with the same size, but may have different content: only reading them tells. A path that is a file on
 * one side only is none of them.
 */
export function undecided(before: FileTree, after: FileTree): readonly string[] {
  const paths: string[] = [];
  for (const [path, now] of after) {
    const old = before.get(path);
    if (old?.type !== 'file' || now.type !== 'file' || old.size !== now.size || now.size === 0) continue;
    if (old.stamp === '' || old.stamp !== now.stamp) paths.push(path);
  }
  return paths;
}

/** What changed, sorted by path. `different` are those of the undecided files that have different content. */
export function compareTrees(
  before: FileTree,
  after: FileTree,
  different: ReadonlySet<string>,
): Pick<Changes, 'files' | 'counts' | 'truncated'> {
  const files: FileChange[] = [];
  for (const [path, old] of before) {
    const now = after.get(path);
    if (now === undefined) files.push({ path, change: 'removed', type: old.type, aspects: [], ...sizes(old, undefined) });
    else {
      const aspects = aspectsOf(old, now, different.has(path));
      if (aspects.length > 0) files.push({ path, change: 'changed', type: now.type, aspects, ...sizes(old, now) });
    }
  }
  for (const [path, now] of after) {
    if (!before.has(path)) files.push({ path, change: 'added', type: now.type, aspects: [], ...sizes(undefined, now) });
  }
  files.sort((one, other) => (one.path < other.path ? -1 : 1));
  const counts = { added: 0, removed: 0, changed: 0 };
  for (const { change } of files) counts[change]++;
  return { files: files.slice(0, MAX_CHANGES), counts, truncated: files.length > MAX_CHANGES };
}

function aspectsOf(old: VolumeEntry, now: VolumeEntry, different: boolean): FileChange['aspects'] {
  if (old.type !== now.type) return ['type'];
  const aspects: FileChange['aspects'] = [];
  if (now.type === 'file' && (old.size !== now.size || different)) aspects.push('content');
  if (now.type === 'link' && old.target !== now.target) aspects.push('target');
  // Those of a link mean nothing.
  if (now.type !== 'link' && old.mode !== now.mode) aspects.push('permissions');
  if (old.uid !== now.uid || old.gid !== now.gid) aspects.push('owner');
  return aspects;
}

function sizes(old: VolumeEntry | undefined, now: VolumeEntry | undefined): Pick<FileChange, 'sizeBefore' | 'sizeAfter'> {
  const size = (entry: VolumeEntry | undefined): number | null => (entry?.type === 'file' ? entry.size : null);
  return { sizeBefore: size(old), sizeAfter: size(now) };
}
