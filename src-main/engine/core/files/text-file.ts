import { readFile } from 'node:fs/promises';
import { diskError } from './disk-error.ts';

/** The trimmed text of a small file. `undefined` when it does not exist; `host.denied` and others as in `disk-error.ts`. */
export async function readTextFile(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw diskError(error, path);
  }
}
