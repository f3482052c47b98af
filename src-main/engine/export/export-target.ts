import { lstat, mkdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import type { UndoStack } from '../core/undo.ts';

/** A folder to be filled. Files are created in `build` and moved to `folder` only when all are complete. */
export interface Target {
  readonly folder: string;
  /** On the same file system as `folder`. */
  readonly build: string;
  /** Whether `folder` existed before. */
  readonly existed: boolean;
}

/**
 * Refuses a folder with conflicting files, before anything is created. `mark` determines the name of the build folder: `openTarget` removes
 * what a killed process left under the same mark.
 */
export async function chooseTarget(path: string, names: readonly string[], mark: string): Promise<Target> {
  const folder = resolve(path);
  const found = await look(folder);
  if (found !== undefined && found !== 'folder') {
    throw new EngineError('input.invalid', `${folder} exists and is not a folder.`, { hint: 'Choose another destination.' });
  }
  if (found === undefined) return { folder, build: join(dirname(folder), `.${basename(folder)}.${mark}`), existed: false };
  const taken: string[] = [];
  for (const name of names) if ((await look(join(folder, name))) !== undefined) taken.push(name);
  if (taken.length > 0) {
    const shown = taken.slice(0, 5).join(', ');
    const more = taken.length > 5 ? ` and ${taken.length - 5} more` : '';
    throw new EngineError('input.invalid', `${folder} holds ${shown}${more} already, and nothing is overwritten.`, {
      hint: 'Choose an empty folder or one that is not there yet.',
    });
  }
  return { folder, build: join(folder, `.${mark}`), existed: true };
}

/** Creates the build folder and its missing parents. */
export async function openTarget(target: Target, undo: UndoStack): Promise<void> {
  try {
    const first = await mkdir(dirname(target.build), { recursive: true });
    if (first !== undefined) undo.add(`remove ${first}`, async () => await rm(first, { recursive: true, force: true }));
    // Its creator held the lock that we hold now, so it is dead.
    await rm(target.build, { recursive: true, force: true });
    undo.add(`remove ${target.build}`, async () => await rm(target.build, { recursive: true, force: true }));
    await mkdir(target.build);
  } catch (error) {
    throw diskError(error, target.folder);
  }
}

/** Moves the files to their final names, in this order. */
export async function publishTarget(target: Target, names: readonly string[], undo: UndoStack): Promise<void> {
  if (!target.existed) {
    await move(target.build, target.folder, undo);
    return;
  }
  for (const name of names) await move(join(target.build, name), join(target.folder, name), undo);
  await rm(target.build, { recursive: true, force: true }).catch((error: unknown) => {
    throw diskError(error, target.build);
  });
}

async function move(from: string, to: string, undo: UndoStack): Promise<void> {
  if ((await look(to)) !== undefined) {
    throw new EngineError('input.invalid', `${to} appeared meanwhile, and nothing is overwritten.`, {
      hint: 'Choose another destination.',
    });
  }
  await rename(from, to).catch((error: unknown) => {
    throw diskError(error, to);
  });
  undo.add(`remove ${to}`, async () => await rm(to, { recursive: true, force: true }));
}

async function look(path: string): Promise<'folder' | 'other' | undefined> {
  try {
    const found = await lstat(path);
    if (found.isDirectory()) return 'folder';
    // A link to a folder counts as a folder.
    return found.isSymbolicLink() && (await isFolder(path)) ? 'folder' : 'other';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR') throw new EngineError('input.invalid', `${dirname(path)} is no folder.`, { cause: error });
    throw diskError(error, path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await lstat(`${path}/.`)).isDirectory();
}
