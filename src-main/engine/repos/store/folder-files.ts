import { readdir, rm, rmdir, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { diskError } from '../../core/disk-error.ts';
import { forEachLimit } from '../../core/until.ts';
import type { KnownFile } from './record.ts';

/** How many files are looked at once. */
const LOOKING = 16;

export interface FileFacts {
  readonly size: number;
  readonly mtimeMs: number;
}

/** Size and time of last change; undefined when it is not there, or not a file. */
export async function factsOf(path: string): Promise<FileFacts | undefined> {
  try {
    const found = await stat(path);
    return found.isFile() ? { size: found.size, mtimeMs: found.mtimeMs } : undefined;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw diskError(error, path);
  }
}

/** The same for many files, in their order. */
export async function factsOfAll(
  folder: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<readonly (FileFacts | undefined)[]> {
  return await forEachLimit(paths, LOOKING, signal, async (path) => await factsOf(join(folder, path)));
}

/** Whether a file is as it was when its content was right. */
export function isUnchanged(known: KnownFile, facts: FileFacts | undefined): facts is FileFacts {
  return facts !== undefined && facts.size === known.size && facts.mtimeMs === known.mtimeMs;
}

/**
 * Deletes the files in `folder` and below that `isGone` says, by their relative paths, and folders that are empty then. Returns their paths.
 * Other files and links are left alone.
 */
export async function removeFiles(folder: string, isGone: (path: string) => boolean): Promise<readonly string[]> {
  const removed: string[] = [];

  async function clean(dir: string): Promise<boolean> {
    let left = 0;
    for (const entry of await entriesOf(dir)) {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) {
        if (!(await clean(path))) left += 1;
        else await rmdir(path);
      } else if (entry.isFile() && isGone(relative(folder, path))) {
        await rm(path, { force: true });
        removed.push(relative(folder, path));
      } else left += 1;
    }
    return left === 0;
  }

  try {
    await clean(folder);
  } catch (error) {
    throw diskError(error, folder);
  }
  return removed;
}

async function entriesOf(dir: string) {
  try {
    return await readdir(dir, { withFileTypes: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
