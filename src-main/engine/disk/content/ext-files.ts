import { createReadStream } from 'node:fs';
import { chown, mkdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { TarMember } from '../tar/tar-members.ts';
import { Debugfs, debugfsWord, type ExtEntry, FILE_TYPE, FOLDER_TYPE, LINK_TYPE, ROOT_INODE, TYPE_BITS } from './debugfs.ts';

/** Commands of one debugfs process. */
const BATCH = 200;
const MAX_LINKS = 40;

/**
 * Files of an ext2, ext3 or ext4 file system, read with debugfs: no mount, no root. The file system is untrusted. `scratch` is an existing
 * folder for single files.
 */
export class ExtFiles {
  readonly #debugfs: Debugfs;
  readonly #scratch: string;

  /** `device` is a file with nothing but the file system. */
  constructor(device: string, scratch: string, signal: AbortSignal) {
    this.#debugfs = new Debugfs(device, scratch, signal);
    this.#scratch = scratch;
  }

  /** Replays the journal of a file system that needs it, which writes to it. */
  async replayJournal(): Promise<void> {
    await this.#debugfs.replayJournal();
  }

  /** What is at an absolute path, links on the way and at its end followed; undefined if there is nothing. */
  async find(
    path: string,
  ): Promise<{ readonly inode: number; readonly kind: 'file' | 'folder' | 'special'; readonly mode: number } | undefined> {
    let at: ExtEntry[] = [{ inode: ROOT_INODE, mode: FOLDER_TYPE, uid: 0, gid: 0, name: '', size: 0 }];
    const parts = path.split('/').reverse();
    let links = 0;
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at.length > 1) at = at.slice(0, -1);
        continue;
      }
      const folder = at.at(-1);
      if (folder === undefined || (folder.mode & TYPE_BITS) !== FOLDER_TYPE) return undefined;
      const found = (await this.#debugfs.list([folder.inode])).get(folder.inode)?.find(({ name }) => name === part);
      if (found === undefined) return undefined;
      if ((found.mode & TYPE_BITS) !== LINK_TYPE) {
        at = [...at, found];
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = (await this.#debugfs.targets([found.inode])).get(found.inode) ?? '';
      if (target.startsWith('/')) at = at.slice(0, 1);
      parts.push(...target.split('/').reverse());
    }
    const last = at.at(-1);
    if (last === undefined) return undefined;
    const type = last.mode & TYPE_BITS;
    return { inode: last.inode, kind: type === FOLDER_TYPE ? 'folder' : type === FILE_TYPE ? 'file' : 'special', mode: last.mode };
  }

  /** A file, as the only member of an archive under the name "f". */
  async *file(inode: number, mode: number): AsyncGenerator<TarMember> {
    yield* this.#files([{ inode, mode, uid: 0, gid: 0, name: 'f', size: 0 }]);
  }

  /** Everything below a folder as the members of an archive, each folder before its content. */
  async *tree(inode: number): AsyncGenerator<TarMember> {
    const seen = new Set([inode]);
    let level: readonly { readonly inode: number; readonly path: string }[] = [{ inode, path: '' }];
    while (level.length > 0) {
      const next: { inode: number; path: string }[] = [];
      for (let from = 0; from < level.length; from += BATCH) {
        const folders = level.slice(from, from + BATCH);
        const lists = await this.#debugfs.list(folders.map((folder) => folder.inode));
        const entries = folders.flatMap(({ inode: of, path }) =>
          (lists.get(of) ?? []).map((entry) => ({ ...entry, name: path === '' ? entry.name : `${path}/${entry.name}` })),
        );
        for (const entry of entries) {
          if ((entry.mode & TYPE_BITS) !== FOLDER_TYPE || seen.has(entry.inode)) continue;
          // A damaged file system may contain itself.
          seen.add(entry.inode);
          next.push({ inode: entry.inode, path: entry.name });
          yield member(entry, '5');
        }
        const links = entries.filter((entry) => (entry.mode & TYPE_BITS) === LINK_TYPE);
        const targets = await this.#debugfs.targets(links.map((entry) => entry.inode));
        for (const entry of links) yield member(entry, '2', targets.get(entry.inode));
        yield* this.#files(entries.filter((entry) => (entry.mode & TYPE_BITS) === FILE_TYPE));
        for (const entry of entries) if (![FOLDER_TYPE, LINK_TYPE, FILE_TYPE].includes(entry.mode & TYPE_BITS)) yield member(entry, '3');
      }
      level = next;
    }
  }

  async *#files(entries: readonly ExtEntry[]): AsyncGenerator<TarMember> {
    for (let from = 0; from < entries.length; from += BATCH) {
      const folder = join(this.#scratch, 'files');
      await mkdir(folder, { mode: 0o700 });
      try {
        const batch = entries.slice(from, from + BATCH);
        const commands = batch.map((entry, index) => `dump -p <${entry.inode}> ${debugfsWord(join(folder, String(index)))}`);
        await this.#debugfs.run(commands);
        for (const [index, entry] of batch.entries()) {
          const path = join(folder, String(index));
          const info = await stat(path);
          if (process.getuid?.() === 0) await chown(path, 0, 0);
          const content = createReadStream(path) as AsyncIterable<Buffer>;
          yield { ...member(entry, '0'), size: info.size, mtime: Math.floor(info.mtimeMs / 1000), content };
        }
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
}

function member(entry: ExtEntry, type: string, target = ''): TarMember {
  return { name: entry.name, type, size: 0, mode: entry.mode, mtime: 0, target, sparse: undefined, content: nothing() };
}

async function* nothing(): AsyncGenerator<Buffer> {}
