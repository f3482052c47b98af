import { constants, copyFile, link, stat, utimes } from 'node:fs/promises';
import { diskError } from '../../core/files/json-file.ts';

/** On another file system, a link too many, or of another user's file, which the kernel protects. */
const NO_LINK = new Set(['EXDEV', 'EMLINK', 'EPERM', 'EOPNOTSUPP', 'ENOTSUP']);

/**
 * Makes a hard link to a file, or a copy with the same time where that cannot be: one that shares the blocks if the file system can do so.
 * Returns how many bytes were copied.
 */
export async function linkOrCopy(from: string, to: string): Promise<number> {
  try {
    await link(from, to);
    return 0;
  } catch (error) {
    if (!NO_LINK.has((error as NodeJS.ErrnoException).code ?? '')) throw diskError(error, to);
  }
  try {
    const { size, atime, mtime } = await stat(from);
    const shared = await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE_FORCE).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOSPC' || error.code === 'EEXIST') throw error;
        return false;
      },
    );
    if (!shared) await copyFile(from, to);
    await utimes(to, atime, mtime);
    return shared ? 0 : size;
  } catch (error) {
    throw diskError(error, to);
  }
}
