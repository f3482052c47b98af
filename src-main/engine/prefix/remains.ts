import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/json-file.ts';
import { type PrefixPaths, prefixPaths } from './layout.ts';
import { readRecord } from './record.ts';

/**
 * What an interrupted `init` or `destroy` leaves. The order in which a prefix is made and removed is chosen so that it can be told from
 * everything else at any moment: folder, lock, record, then the rest; and the rest, uuid, record, lock, folder.
 */

/** A record that was being written for the first time. */
const RECORD_BEGUN = /^lago-desktop\.json\.[0-9a-f]+\.tmp$/;

/**
 * Whether a folder is a prefix that is half-made or half-removed: its record says so, or there is nothing yet (any more) but a lock and
 * temporary files. It may be one that another process is working on: whoever removes it takes its lock and asks again.
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
      // A damaged record says nothing; its owner may mend it.
      if (error instanceof EngineError) return false;
      throw error;
    }
  }
  return names.every((name) => name === basename(paths.lock) || RECORD_BEGUN.test(name));
}

/** Whether a folder holds one of the files by which a prefix is known, be it whole, damaged, cleaned up, half-made or half-removed. */
export async function hasMark(root: string): Promise<boolean> {
  const paths = prefixPaths(root);
  const names = (await namesIn(root)) ?? [];
  return [paths.uuid, paths.initialized, paths.record].some((path) => names.includes(basename(path)));
}

/** Whether a folder is one that `destroy` may remove: a prefix in any state, also a half-made one that has no mark yet. */
export async function isRemovable(root: string): Promise<boolean> {
  return (await hasMark(root)) || (await isHalfMade(root));
}

/** Removes a prefix with all its files, in the order that keeps it known as one until the end. Nothing there is fine. */
export async function removePrefixFolder(paths: PrefixPaths): Promise<void> {
  const last = [paths.uuid, paths.record, paths.lock];
  const names = (await namesIn(paths.root)) ?? [];
  const first = names.map((name) => join(paths.root, name)).filter((path) => !last.includes(path));
  for (const path of [...first, ...last]) await rm(path, { recursive: true, force: true });
  await removeEmpty(paths.root);
}

/** Removes a folder unless there is anything in it: with the lock gone, somebody may have begun anew in it. */
export async function removeEmpty(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw diskError(error, path);
  }
}

/** Undefined when there is no folder. */
async function namesIn(root: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(root);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw diskError(error, root);
  }
}
