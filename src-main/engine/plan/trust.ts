import { access, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { diskError } from '../core/json-file.ts';

/** What a file is wanted for: to be shown to a guest, or to be a disk that it changes. */
export type FileAccess = 'read' | 'write';

/**
 * Whose a file is. `own`: it came with the init file, or is a template. `allowed`: the user said yes to it. `outside`: neither, so that a
 * stranger's init file may mean it for something the user does not want.
 */
export type Belonging = 'own' | 'allowed' | 'outside';

export interface Trust {
  /** `real` is absolute, its links followed. */
  judge(real: string, access: FileAccess): Belonging;
}

export interface TrustRequest {
  readonly initFile: string;
  readonly templateStore: string;
  /** What the user says yes to: files, and folders with all that is in them. Relative ones begin at `cwd`. */
  readonly allowPaths: readonly string[];
  readonly cwd: string;
  readonly home: string;
}

/**
 * What an init file may name without a question: what lies in its folder, or in the git checkout of this user that it belongs to; and, for
 * reading, the template store. A home folder is no such folder where files are hidden, one above it (or `/`) only for what lies directly in it, and
 * neither counts as a checkout.
 */
export async function openTrust(request: TrustRequest): Promise<Trust> {
  const [file, store, home] = await Promise.all([request.initFile, request.templateStore, request.home].map(realOf));
  const folder = dirname(file ?? '/');
  const checkout = await checkoutOf(folder, home ?? '/');
  const allowed = await Promise.all(request.allowPaths.map(async (path) => await realOf(resolve(request.cwd, path))));
  return {
    judge(real, wanted) {
      if (allowed.some((path) => real === path || below(real, path))) return 'allowed';
      // What is hidden (`.git/hooks`) is run or read by programs of the user that nobody thinks of here: never for writing.
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

/** Whether it lies somewhere in that folder. */
function below(path: string, folder: string): boolean {
  return path.startsWith(folder.endsWith('/') ? folder : `${folder}/`);
}

/** What is not there yet leads nowhere else. */
async function realOf(path: string): Promise<string> {
  return await realpath(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR' || error.code === 'EACCES' || error.code === 'ELOOP') return resolve(path);
    throw diskError(error, path);
  });
}

/** The innermost folder around it that git keeps for this user: anybody can put a `.git` into /tmp. */
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
