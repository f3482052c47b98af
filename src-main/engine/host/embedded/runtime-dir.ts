import { chmodSync, lstatSync, mkdirSync, type Stats } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';

/** Longest path that fits a unix socket's address (108 bytes with the closing zero). */
export const SOCKET_PATH_LIMIT = 107;

function uid(): number {
  return process.getuid?.() ?? 0;
}

function stat(path: string): Stats | undefined {
  try {
    return lstatSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** True for a folder (not a link) that only this user can write to. */
export function isPrivateFolder(path: string): boolean {
  const found = stat(path);
  return found !== undefined && found.isDirectory() && found.uid === uid() && (found.mode & 0o077) === 0;
}

/**
 * Folder for the sockets of this user's embedded hosts: `$XDG_RUNTIME_DIR/lago` when that is set and private to us, else `/run/lago` for
 * root and `/tmp/lago-UID` for others. It need not exist.
 */
export function runtimeRoot(environment: NodeJS.ProcessEnv = process.env): string {
  const session = environment['XDG_RUNTIME_DIR'];
  // Leaves 40 bytes for the environment and its longest socket name.
  if (session !== undefined && session.startsWith('/') && session.length < SOCKET_PATH_LIMIT - 60 && isPrivateFolder(session)) {
    return join(session, 'lago');
  }
  return fallbackRoot();
}

function fallbackRoot(): string {
  return uid() === 0 ? '/run/lago' : `/tmp/lago-${uid()}`;
}

/** All folders that may contain runtime folders of this user: with and without a login session. */
export function runtimeRoots(environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  return [...new Set([runtimeRoot(environment), fallbackRoot()])];
}

/** Runtime folder of a new host for the environment `id`. */
export function runtimeDirFor(id: string, environment: NodeJS.ProcessEnv = process.env): string {
  return join(runtimeRoot(environment), id.replaceAll('-', '').slice(0, 12));
}

/** Creates a folder that only this user can enter; `host.denied` when a non-folder or another user's folder is there. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const found = stat(path);
  if (found?.isDirectory() === true && found.uid === uid()) chmodSync(path, 0o700);
  if (isPrivateFolder(path)) return;
  throw new EngineError('host.denied', `${path} is not a private folder of this user.`, {
    details: { path },
    hint: `Remove ${path}, or give it to this user with mode 0700.`,
  });
}

/** Folder for data that may be deleted at any time (`$XDG_CACHE_HOME/lago`). */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment['XDG_CACHE_HOME'];
  return join(base !== undefined && base.startsWith('/') ? base : join(environment['HOME'] ?? homedir(), '.cache'), 'lago');
}
