import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { type PrefixPaths, prefixPaths } from './layout.ts';
import { readRecord } from './record.ts';

/**
 * Leftovers of an interrupted `init` or `destroy`. Prefixes are created and removed in an order that makes them recognisable at any moment:
 * folder, lock, record, then the rest; and in reverse: the rest, uuid, record, lock, folder.
 */

/** Left by an interrupted write of the record. */
const RECORD_BEGUN = /^lago-desktop\.json\.[0-9a-f]+\.tmp$/;
/** Left by an interrupted write of any file; see `writeFileAtomic`. */
const BEGUN = /\.[0-9a-f]{8}\.tmp$/;

/**
 * Whether a folder is a half-made or half-removed prefix: its record says so, or it contains nothing but a lock and temporary files.
 * Another process may still be working on it: take its lock and check again before removing it.
 */
export async function isHalfMade(root: string): Promise<boolean> {
  const paths = prefixPaths(root);
  const names = await namesIn(root);
  if (names === undefined) return false;
  if (names.includes(basename(paths.record))) {
    try {
      const record = await readRecord(paths.record);
      return record?.phase === 'creating' || record?.pending?.kind === 'destroy';
    } catch (error) {
      // A damaged record proves nothing; the user may still repair it.
      if (error instanceof EngineError) return false;
      throw error;
    }
  }
  return names.every((name) => name === basename(paths.lock) || RECORD_BEGUN.test(name));
}

/** Whether a folder contains a prefix's marker file: a prefix that is whole, damaged, cleaned up, half-made or half-removed. */
export async function hasMark(root: string): Promise<boolean> {
  const paths = prefixPaths(root);
  const names = (await namesIn(root)) ?? [];
  return [paths.uuid, paths.initialized, paths.record].some((path) => names.includes(basename(path)));
}

/** Whether `destroy` may remove a folder: a prefix in any state, even a half-made one without a marker. */
export async function isRemovable(root: string): Promise<boolean> {
  return (await hasMark(root)) || (await isHalfMade(root));
}

/** Removes a prefix with all its files, in an order that keeps it recognisable until the end. A missing one is fine. */
export async function removePrefixFolder(paths: PrefixPaths): Promise<void> {
  const last = [paths.uuid, paths.record, paths.lock];
  const names = (await namesIn(paths.root)) ?? [];
  const first = names.map((name) => join(paths.root, name)).filter((path) => !last.includes(path));
  for (const path of [...first, ...last]) await rm(path, { recursive: true, force: true });
  await removeEmpty(paths.root);
}

/** Removes a folder if it is empty: once the lock is gone, another process may have started over in it. */
export async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw diskError(error, path);
  }
}

/**
 * Removes what a killed command has left of files that it was writing: of those that only the holder of the lock writes, which the caller
 * has to be.
 */
export async function removeBegunFiles(paths: PrefixPaths): Promise<void> {
  const record = ((await namesIn(paths.root)) ?? []).filter((name) => RECORD_BEGUN.test(name)).map((name) => join(paths.root, name));
  const others = await Promise.all(
    [paths.virt, dirname(paths.boot(''))].map(async (folder) =>
      ((await namesIn(folder)) ?? []).filter((name) => BEGUN.test(name)).map((name) => join(folder, name)),
    ),
  );
  for (const path of [...record, ...others.flat()]) await rm(path, { force: true });
}

/** Undefined when the folder does not exist. */
async function namesIn(root: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(root);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw diskError(error, root);
  }
}
