import { cp, lstat, rm } from 'node:fs/promises';
import { dirname, relative, sep } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { ownPart, removeStaleParts } from '../../copy/local-parts.ts';
import { moveInto } from '../../copy/unpack.ts';
import { diskError } from '../../core/files/json-file.ts';
import type { Step } from '../../core/operation.ts';
import { pathOfCollected } from './collections.ts';

/**
 * Copies a file or folder of a collection (all of it without a path) to exactly this path, with modes, times and links. A file that is there
 * is replaced, nothing else; nothing incomplete is ever under the final name. `input.invalid`, `input.missing-file`, `host.no-space`.
 */
export async function saveCollected(root: string, id: string, path: string, destination: string, step: Step): Promise<void> {
  const source = await pathOfCollected(root, id, path);
  await step.step('Save', async ({ signal }) => {
    if (isInside(source, destination)) throw new EngineError('input.invalid', `${destination} is in what is to be saved.`);
    const folder = (await lstat(source)).isDirectory();
    const there = await typeOf(destination);
    if (there !== 'nothing' && (folder || there !== 'file')) {
      throw new EngineError('input.invalid', `${destination} exists already.`, { hint: 'Choose a new name.' });
    }
    const part = ownPart(destination);
    try {
      await removeStaleParts(destination, undefined);
      const filter = (): boolean => {
        signal.throwIfAborted();
        return true;
      };
      await cp(source, part, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter });
      await moveInto(part, destination);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        throw new EngineError('input.missing-file', `There is no directory ${dirname(destination)} to save to.`, { cause: error });
      }
      throw diskError(error, destination);
    } finally {
      await rm(part, { recursive: true, force: true });
    }
  });
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`);
}

async function typeOf(path: string): Promise<'file' | 'other' | 'nothing'> {
  try {
    return (await lstat(path)).isFile() ? 'file' : 'other';
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'nothing';
    throw diskError(error, path);
  }
}
