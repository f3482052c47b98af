import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { CollectedChange } from '../../../../src-shared/collection.ts';
import { sameContent } from '../same-content.ts';
import { pathOfCollected } from './collections.ts';

/** Files and links of a collection by path, with their sizes. */
type Listing = ReadonlyMap<string, { readonly absolute: string; readonly size: number; readonly link: boolean }>;

/** Files that are in one of two collections only, or not the same in both, sorted by path. Times do not count. */
export async function compareCollections(root: string, before: string, after: string): Promise<readonly CollectedChange[]> {
  const [old, now] = await Promise.all([before, after].map(async (id) => await listing(await pathOfCollected(root, id, ''))));
  if (old === undefined || now === undefined) return [];
  const changes: CollectedChange[] = [];
  for (const path of [...new Set([...old.keys(), ...now.keys()])].sort()) {
    const [a, b] = [old.get(path), now.get(path)];
    const sizes = { path, before: a?.size ?? null, after: b?.size ?? null };
    if (a === undefined) changes.push({ ...sizes, change: 'added' });
    else if (b === undefined) changes.push({ ...sizes, change: 'removed' });
    else if (a.size !== b.size || a.link !== b.link || !(await sameFile(a, b))) changes.push({ ...sizes, change: 'changed' });
  }
  return changes;
}

async function listing(folder: string): Promise<Listing> {
  const found = new Map<string, { absolute: string; size: number; link: boolean }>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) continue;
    const absolute = join(entry.parentPath, entry.name);
    const info = await lstat(absolute);
    found.set(absolute.slice(folder.length + 1), { absolute, size: info.size, link: info.isSymbolicLink() });
  }
  return found;
}

async function sameFile(a: { readonly absolute: string; readonly link: boolean }, b: { readonly absolute: string }): Promise<boolean> {
  if (a.link) return (await readlink(a.absolute)) === (await readlink(b.absolute));
  return await sameContent(a.absolute, b.absolute);
}
