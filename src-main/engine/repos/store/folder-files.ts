import { statSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../../core/files/disk-error.ts';
import { sleep } from '../../core/until.ts';
import type { KnownFile } from './record.ts';

/** After so many files others have their turn. */
const LOOKING = 100;

export interface FileFacts {
  readonly size: number;
  readonly mtimeMs: number;
}

/** Size and time of last change; undefined when it is not there, or not a file. */
export function factsOf(path: string): FileFacts | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    return found?.isFile() === true ? { size: found.size, mtimeMs: found.mtimeMs } : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return undefined;
    throw diskError(error, path);
  }
}

/** The same for many files, in their order. Asking another thread for each of them would take many times as long. */
export async function factsOfAll(
  folder: string,
  paths: readonly string[],
  signal?: AbortSignal,
): Promise<readonly (FileFacts | undefined)[]> {
  const facts: (FileFacts | undefined)[] = [];
  for (const [index, path] of paths.entries()) {
    if (index % LOOKING === LOOKING - 1) await sleep(0, signal);
    facts.push(factsOf(`${folder}/${path}`));
  }
  return facts;
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

  /** `below`: the folder's path within `folder`, empty or with a slash at its end. */
  async function clean(below: string): Promise<boolean> {
    let left = 0;
    for (const entry of await entriesOf(join(folder, below))) {
      const path = `${below}${entry.name}`;
      if (entry.isDirectory()) {
        if (!(await clean(`${path}/`))) left += 1;
        else await rmdir(join(folder, path));
      } else if (entry.isFile() && isGone(path)) {
        await rm(join(folder, path), { force: true });
        removed.push(path);
      } else left += 1;
    }
    return left === 0;
  }

  try {
    await clean('');
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
