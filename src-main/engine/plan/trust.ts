import { access, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { diskError } from '../core/files/json-file.ts';

/** What a file is used for: to be read by a guest, or to be a disk that it changes. */
export type FileAccess = 'read' | 'write';

/**
 * Where a file belongs. `own`: it came with the init file, or is a template. `allowed`: the user permitted it. `outside`: neither, so a
 * stranger's init file may abuse it.
 */
export type Belonging = 'own' | 'allowed' | 'outside';

export interface Trust {
  /** `real` is absolute, with links resolved. */
  judge(real: string, access: FileAccess): Belonging;
}

export interface TrustRequest {
  readonly initFile: string;
  readonly templateStore: string;
  /** What the user permits: files, and folders with everything in them. Relative to `cwd`. */
  readonly allowPaths: readonly string[];
  readonly cwd: string;
  readonly home: string;
}

/**
 * What an init file may name without asking: files in its folder (hidden ones for reading only); and, for reading, visible files in this
 * user's git checkout around it, and the template store. In the home folder only visible files count, in a folder above it (or `/`) only
 * its direct files; neither counts as a checkout.
 */
export async function openTrust(request: TrustRequest): Promise<Trust> {
  const [file, store, home] = await Promise.all([request.initFile, request.templateStore, request.home].map(realOf));
  const folder = dirname(file ?? '/');
  const checkout = await checkoutOf(folder, home ?? '/');
  const allowed = await Promise.all(request.allowPaths.map(async (path) => await realOf(resolve(request.cwd, path))));
  return {
    judge(real, wanted) {
      if (allowed.some((path) => real === path || below(real, path))) return 'allowed';
      // Hidden files (`.git/hooks`) may be run or read by the user's other programs: never writable.
      const hidden = wanted === 'write' && real.includes('/.', folder.length);
      if (ownIn(folder, real, home ?? '/') && !hidden) return 'own';
      const shown = checkout !== undefined && below(real, checkout) && !real.includes('/.', checkout.length);
      if (shown && wanted === 'read') return 'own';
      return wanted === 'read' && store !== undefined && below(real, store) ? 'own' : 'outside';
    },
  };
}

function ownIn(folder: string, real: string, home: string): boolean {
  if (!below(real, folder)) return false;
  if (folder === home) return !real.slice(home.length).includes('/.');
  return !below(home, folder) || dirname(real) === folder;
}

/** Whether the path is inside the folder. */
function below(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** A missing path has no links to follow. */
async function realOf(path: string): Promise<string> {
  return await realpath(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES' || error.code === 'ELOOP') return resolve(path);
    throw diskError(error, path);
  });
}

/** The innermost git checkout around it that belongs to this user: anyone can put a `.git` into /tmp. */
async function checkoutOf(folder: string, home: string): Promise<string | undefined> {
  for (let here = folder; ; here = dirname(here)) {
    if (here === home || below(home, here)) return undefined;
    const isCheckout = await access(join(here, '.git')).then(
      () => true,
      () => false,
    );
    if (isCheckout) return (await stat(here)).uid === process.getuid?.() ? here : undefined;
    if (here === dirname(here)) return undefined;
  }
}
