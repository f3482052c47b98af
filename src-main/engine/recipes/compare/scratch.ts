import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ownPart, removeStaleParts } from '../../copy/local-parts.ts';
import { diskError } from '../../core/files/disk-error.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/** Lends the work a folder for what it reads of two points, and removes it with all that is in it. */
export async function withScratch<T>(prefix: Prefix, work: (scratch: string) => Promise<T>): Promise<T> {
  const scratch = ownPart(placeOf(prefix));
  try {
    await mkdir(prefix.paths.snapshots, { recursive: true });
    await removeScratch(prefix);
    await mkdir(scratch, { mode: 0o700 });
    return await work(scratch);
  } catch (error) {
    throw diskError(error, scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Removes what killed comparisons have left; those that are going on keep theirs. Returns whether there was a place to look at. */
export async function removeScratch(prefix: Prefix): Promise<boolean> {
  if (!existsSync(prefix.paths.snapshots)) return false;
  try {
    await removeStaleParts(placeOf(prefix), undefined);
    return true;
  } catch (error) {
    throw diskError(error, placeOf(prefix));
  }
}

function placeOf({ paths }: Prefix): string {
  return join(paths.snapshots, 'compare');
}
