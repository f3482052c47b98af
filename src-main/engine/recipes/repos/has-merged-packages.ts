import { readdir } from 'node:fs/promises';
import type { Prefix } from '../../prefix/prefix.ts';

/** Whether the environment has merged packages. A first merge that failed leaves only what is hidden. */
export async function hasMergedPackages({ paths }: Prefix): Promise<boolean> {
  try {
    return (await readdir(paths.internalRepo)).some((name) => !name.startsWith('.'));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}
