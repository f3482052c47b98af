import { chmod, link, open, rm } from 'node:fs/promises';
import { diskError } from '../../core/disk-error.ts';
import { runChecked } from '../../core/run.ts';

/** Copies a file with its holes, sharing its blocks where that can; it is on the disk when this resolves. */
export async function copyFileTo(from: string, to: string, mode: number, signal: AbortSignal): Promise<void> {
  await runChecked(['cp', '--reflink=auto', '--sparse=always', '--', from, to], `${from} could not be copied to ${to}.`, { signal });
  try {
    await chmod(to, mode);
    await using file = await open(to, 'r');
    await file.sync();
  } catch (error) {
    throw diskError(error, to);
  }
}

/**
 * Gives a file another name by a hard link, which takes no space; on another file system, or where somebody else's file may not be
 * linked, it is copied. Nobody may write to it afterwards.
 */
export async function linkOrCopy(from: string, to: string, mode: number, signal: AbortSignal): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw diskError(error, to);
    await copyFileTo(from, to, mode, signal).catch(async (failed: unknown) => {
      await rm(to, { force: true });
      throw failed;
    });
  }
}
