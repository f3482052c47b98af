import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';

/** Turns a disk error (no space, no permission, read-only) into a sentence. Other errors pass unchanged. */
export function diskError(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  const details = { path, errno: code ?? '' };
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new EngineError('host.no-space', `No space left for ${path}.`, {
      cause: error,
      details,
      hint: `Free space on the file system of ${dirname(path)} and try again.`,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new EngineError('host.denied', `No permission to write ${path}.`, { cause: error, details });
  }
  if (code === 'EROFS') return new EngineError('host.denied', `${path} is on a read-only file system.`, { cause: error, details });
  return error;
}
