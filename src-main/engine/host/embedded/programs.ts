import { accessSync, constants, statSync } from 'node:fs';
import { join } from 'node:path';

/** Folders of administration programs; an ordinary user's PATH often lacks them. */
const SYSTEM_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/local/bin', '/usr/bin', '/bin'];

/** PATH with the folders of administration programs appended. */
export function searchPath(environment: NodeJS.ProcessEnv = process.env): string {
  const own = (environment['PATH'] ?? '').split(':').filter((folder) => folder.startsWith('/'));
  return [...new Set([...own, ...SYSTEM_FOLDERS])].join(':');
}

/** Full path of an installed program, undefined when it is not installed. */
export function findProgram(name: string, environment: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const folder of searchPath(environment).split(':')) {
    const path = join(folder, name);
    if (isExecutable(path)) return path;
  }
  return undefined;
}

/** Whether a path is a program that this user may run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES' || code === 'ENOTDIR' || code === 'ELOOP') return false;
    throw error;
  }
}
