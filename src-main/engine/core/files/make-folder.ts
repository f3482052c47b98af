import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from './disk-error.ts';

/**
 * Makes a folder and those above it; one that is there is right. `host.denied`, `host.no-space`, and `host.unavailable` where something else
 * has its place. (With `recursive`, node says of a read-only file system only that the folder does not exist.)
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && dirname(path) !== path) {
      await makeFolder(dirname(path));
      await makeFolder(path);
    } else if (code !== 'EEXIST' || !(await isFolder(path))) throw notMade(error, path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    // A link that leads nowhere.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw diskError(error, path);
  }
}

function notMade(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'EEXIST' && code !== 'ENOTDIR') return diskError(error, path);
  return new EngineError('host.unavailable', `The folder ${path} cannot be made: something else has its place.`, {
    cause: error,
    details: { path, errno: code },
    hint: 'Move that away, or choose another folder.',
  });
}
