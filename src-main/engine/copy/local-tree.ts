import { lstat, readdir, readlink, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';

/** One thing to copy, below the root of a tree. */
export interface LocalEntry {
  /** Relative to the root, `/` between its parts; empty for the root itself. */
  readonly name: string;
  readonly path: string;
  readonly type: 'file' | 'folder' | 'link';
  readonly mode: number;
  /** Seconds since the epoch. */
  readonly mtime: number;
  /** Bytes; 0 for anything but a file. */
  readonly size: number;
  /** Less is on disk than its size. */
  readonly sparse: boolean;
  /** Of a link. */
  readonly target: string;
}

export interface LocalTree {
  readonly root: LocalEntry;
  /** Everything below a folder, each folder before its content. */
  readonly entries: readonly LocalEntry[];
  readonly files: number;
  readonly bytes: number;
}

/**
 * Reads what is at a path; only the path itself may be a link that is followed. What cannot be copied is reported to `skip` with a
 * sentence: devices, sockets, pipes, and names that are not UTF-8. `input.missing-file`, `host.denied`.
 */
export async function readLocalTree(path: string, signal: AbortSignal, skip: (sentence: string) => void): Promise<LocalTree> {
  const root = await entryOf(path, '', await statOf(path));
  if (root === undefined) throw new EngineError('input.invalid', `${path} is neither a file nor a directory.`);
  const entries: LocalEntry[] = [];
  if (root.type === 'folder') await readFolder(root, entries, signal, skip);
  const all = [root, ...entries];
  return {
    root,
    entries,
    files: all.filter((entry) => entry.type !== 'folder').length,
    bytes: all.reduce((sum, entry) => sum + entry.size, 0),
  };
}

/** The name that a copy of a path gets in a folder; undefined for `.`, `..` and `x/.`, whose content is meant. */
export function nameOfCopy(path: string): string | undefined {
  const last = path.replace(/\/+$/, '').split('/').at(-1) ?? '';
  return last === '.' || last === '..' || last === '' ? undefined : basename(resolve(path));
}

async function statOf(path: string): Promise<Awaited<ReturnType<typeof stat>>> {
  try {
    return await stat(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new EngineError('input.missing-file', `There is no file or directory ${path}.`, { cause: error });
    }
    throw unreadable(error, path);
  }
}

async function readFolder(folder: LocalEntry, into: LocalEntry[], signal: AbortSignal, skip: (sentence: string) => void): Promise<void> {
  signal.throwIfAborted();
  const names = await readdir(folder.path).catch((error: unknown) => {
    throw unreadable(error, folder.path);
  });
  const found = await Promise.all(
    names.map(async (base) => {
      const path = join(folder.path, base);
      const name = folder.name === '' ? base : `${folder.name}/${base}`;
      if (base.includes('\ufffd')) return skip(`Skipped ${path}: its name is not UTF-8.`);
      try {
        const entry = await entryOf(path, name, await lstat(path));
        if (entry === undefined) skip(`Skipped ${path}: it is neither a file nor a directory nor a link.`);
        return entry;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unreadable(error, path);
        return skip(`Skipped ${path}: it was removed meanwhile.`);
      }
    }),
  );
  for (const entry of found) {
    if (entry === undefined) continue;
    into.push(entry);
    if (entry.type === 'folder') await readFolder(entry, into, signal, skip);
  }
}

async function entryOf(path: string, name: string, info: Awaited<ReturnType<typeof stat>>): Promise<LocalEntry | undefined> {
  const type = info.isFile() ? 'file' : info.isDirectory() ? 'folder' : info.isSymbolicLink() ? 'link' : undefined;
  if (type === undefined) return undefined;
  const size = type === 'file' ? Number(info.size) : 0;
  return {
    name,
    path,
    type,
    mode: Number(info.mode) & 0o7777,
    mtime: Math.floor(Number(info.mtimeMs) / 1000),
    size,
    sparse: Number(info.blocks) * 512 < size,
    target: type === 'link' ? await readlink(path) : '',
  };
}

/** The error for a file that cannot be read. */
export function unreadable(error: unknown, path: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EACCES' || code === 'EPERM') return new EngineError('host.denied', `No permission to read ${path}.`, { cause: error });
  return diskError(error, path);
}
