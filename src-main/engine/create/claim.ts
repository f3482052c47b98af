import { mkdir } from 'node:fs/promises';
import { basename } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { HeldLock } from '../core/lock.ts';
import type { Step } from '../core/operation.ts';
import type { UndoStack } from '../core/undo.ts';
import { type PrefixPaths, prefixPaths } from '../prefix/layout.ts';
import { readPrefixWithoutSpecs } from '../prefix/prefix.ts';
import { type PrefixRecord, writeRecord } from '../prefix/record.ts';
import { isHalfMade, removeEmpty, removePrefixFolder } from '../prefix/remains.ts';
import { Workdir } from '../prefix/workdir.ts';
import { lockPrefix, type RecipeContext } from '../runtime/recipe.ts';
import { remoteOf } from '../runtime/remote-files.ts';

/** Holds a lock that an inner scope takes, until the outer scope ends. */
export class LockPlace implements AsyncDisposable {
  held: HeldLock | undefined;

  async [Symbol.asyncDispose](): Promise<void> {
    await this.held?.release();
  }
}

/** Opens or makes the workdir in which a prefix of this name will be. */
export async function openWorkdir(path: string, name: string, undo: UndoStack): Promise<Workdir> {
  const workdir = await Workdir.loadOrCreate(path, name);
  undo.add(`repair workdir ${path}`, async () => void (await workdir.repair()));
  return workdir;
}

/**
 * Creates the prefix's folder with its record, and takes its lock for as long as undo may need it. Only one process at a time does this in
 * a workdir: of two that want the same name one gets it, the other `prefix.exists`, or `conflict.locked` while the first is unfinished.
 */
export async function claimName(
  context: RecipeContext,
  workdir: Workdir,
  paths: PrefixPaths,
  record: PrefixRecord,
  { lock, undo }: { readonly lock: LockPlace; readonly undo: UndoStack },
  step: Step,
): Promise<void> {
  await using _names = await workdir.lockNames(basename(paths.root), step.signal);
  await clearHalfMade(context, paths.root, step);
  try {
    await mkdir(paths.root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, paths.root);
    throw new EngineError('prefix.exists', `Prefix with name ${basename(paths.root)} already exists in workdir ${workdir.path}`, {
      cause: error,
      hint: 'Specify a different prefix name (--prefix-name) or remove it (lago destroy).',
    });
  }
  undo.add(`remove ${paths.root}`, async () => {
    // Without the lock, the folder may by now belong to another process, unless it is empty.
    if (lock.held === undefined) await removeEmpty(paths.root);
    else await removePrefixFolder(paths);
  });
  lock.held = await lockPrefix(paths, 'init', step.signal);
  try {
    await writeRecord(paths.record, record);
    for (const folder of [paths.virt, paths.images, paths.logs, paths.scripts]) await mkdir(folder);
  } catch (error) {
    throw diskError(error, paths.root);
  }
}

/** Removes what a killed `init`, fork or `destroy` left, so that the name is free again. Keeps a prefix that is completed meanwhile. */
export async function clearHalfMade(context: RecipeContext, root: string, step: Step): Promise<void> {
  const paths = prefixPaths(root);
  if (!(await isHalfMade(root))) return;
  await using lock = await lockUnlessGone(paths, step);
  if (lock === undefined || !(await isHalfMade(root))) return;
  step.log.info(`Removing what an interrupted command left at ${root}.`);
  const remains = await readPrefixWithoutSpecs(root);
  // The VMs of a fork may have come back already.
  if (remains !== undefined) await context.hosts.stop(remains);
  if (remains !== undefined) await remoteOf(context, remains, step.log)?.place.remove();
  await removePrefixFolder(paths);
}

/** Undefined when the destroy that half-removed it has finished meanwhile. */
async function lockUnlessGone(paths: PrefixPaths, step: Step): Promise<HeldLock | undefined> {
  try {
    return await lockPrefix(paths, 'init', step.signal);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'prefix.missing') return undefined;
    throw error;
  }
}
