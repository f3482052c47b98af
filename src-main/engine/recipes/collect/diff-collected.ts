import type { TextDiff } from '../../../../src-shared/collection.ts';
import { diffFiles } from '../text-diff.ts';
import { pathOfCollected } from './collections.ts';

/** How a text file of two collections differs; see `diffFiles`. */
export async function diffCollected(root: string, before: string, after: string, path: string): Promise<TextDiff> {
  const [old, now] = await Promise.all([pathOfCollected(root, before, path), pathOfCollected(root, after, path)]);
  return await diffFiles(old, now);
}
