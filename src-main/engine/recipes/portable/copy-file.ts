import { chmod, link, open, rm, stat } from 'node:fs/promises';
import { formatBytes } from '../../../../src-shared/bytes.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { drop } from '../../core/log.ts';
import type { Step } from '../../core/operation.ts';
import { runChecked } from '../../core/run.ts';

/** How often the step of a copy tells how far it is. */
const LOOK_MS = 500;

/** Copies a file with its holes, sharing its blocks where that can; it is on the disk when this resolves. `host.no-space`. */
export async function copyFileTo(from: string, to: string, mode: number, step: Step): Promise<void> {
  const total = (await stat(from)).blocks * 512;
  const look = async (): Promise<void> => {
    const bytes = await bytesOf(to);
    step.progress(total === 0 ? 1 : Math.min(1, bytes / total), `${formatBytes(bytes)} of ${formatBytes(total)}`);
  };
  const watch = setInterval(() => drop(look(), step.log, 'Looking at a copy'), LOOK_MS);
  try {
    await runChecked(['cp', '--reflink=auto', '--sparse=always', '--', from, to], `${from} could not be copied to ${to}.`, {
      signal: step.signal,
      env: { LC_ALL: 'C' },
    });
    await chmod(to, mode);
    await using file = await open(to, 'r');
    await file.sync();
  } catch (error) {
    const full = error instanceof EngineError && String(error.details['stderr']).includes('No space left on device');
    throw diskError(full ? Object.assign(new Error(error.message, { cause: error }), { code: 'ENOSPC' }) : error, to);
  } finally {
    clearInterval(watch);
  }
}

/** Bytes that a file takes on the disk; 0 when it is not there yet. */
async function bytesOf(path: string): Promise<number> {
  try {
    return (await stat(path)).blocks * 512;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

/**
 * Gives a file another name by a hard link, which takes no space; on another file system, or where somebody else's file may not be
 * linked, it is copied. Nobody may write to it afterwards.
 */
export async function linkOrCopy(from: string, to: string, mode: number, step: Step): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!['EXDEV', 'EPERM', 'EMLINK', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) throw diskError(error, to);
    await copyFileTo(from, to, mode, step).catch(async (failed: unknown) => {
      await rm(to, { force: true });
      throw failed;
    });
  }
}
