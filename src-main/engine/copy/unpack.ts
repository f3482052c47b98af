import { chmod, link, lstat, mkdir, readdir, rename, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { EngineError, toEngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { writeSparse } from '../disk/sparse-file.ts';
import type { TarMember } from '../disk/tar/tar-members.ts';

/** Files up to this size are written while the next ones are being received. */
const SMALL = 256 * 1024;
const PARALLEL = 16;
const MAX_DEPTH = 200;
/** 64 TiB. */
const MAX_SIZE = 2 ** 46;

export interface UnpackOptions {
  readonly signal: AbortSignal;
  readonly onFile: () => void;
  readonly onBytes: (count: number) => void;
  /** What could not be taken over, one sentence each. */
  readonly skip: (sentence: string) => void;
}

/**
 * Writes the members of an untrusted archive into an existing empty folder that nobody else writes to. Nothing is ever written outside of
 * it: names are checked, symbolic links are created when everything else is there, and hard links only between files of this archive.
 * Members that are not plain are skipped with a sentence. Files lose setuid and setgid; folders can be read and removed by their owner.
 */
export async function unpack(members: AsyncIterable<TarMember>, into: string, options: UnpackOptions): Promise<void> {
  await new Unpacking(into, options).run(members);
}

/** The name of a member without `./` and the like; undefined if it leads anywhere else or is not UTF-8. The root's own is empty. */
export function memberName(given: string): string | undefined {
  if (given.startsWith('/') || given.includes('\0') || given.includes('\ufffd')) return undefined;
  const parts = given.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..') || parts.length > MAX_DEPTH) return undefined;
  return parts.join('/');
}

class Unpacking {
  readonly #into: string;
  readonly #options: UnpackOptions;
  /** Folder → its mode and time, which it gets when its content is there; undefined for one that only its content names. */
  readonly #folders = new Map<string, { readonly mode: number; readonly mtime: number } | undefined>([['', undefined]]);
  readonly #files = new Set<string>();
  readonly #links: { readonly name: string; readonly target: string }[] = [];
  readonly #writing = new Set<Promise<void>>();
  #failure: Error | undefined;

  constructor(into: string, options: UnpackOptions) {
    this.#into = into;
    this.#options = options;
  }

  async run(members: AsyncIterable<TarMember>): Promise<void> {
    try {
      for await (const member of members) {
        this.#options.signal.throwIfAborted();
        if (this.#failure !== undefined) throw this.#failure;
        await this.#take(member);
      }
    } finally {
      await this.#settle();
    }
    if (this.#failure !== undefined) throw this.#failure;
    for (const { name, target } of this.#links) await this.#makeLink(name, target);
    // Deepest first: writing into a folder changes its time.
    for (const [name, about] of [...this.#folders].reverse()) {
      if (about === undefined) continue;
      await chmod(this.#path(name), (about.mode & 0o777) | 0o700);
      await setTime(this.#path(name), about.mtime);
    }
  }

  #path(name: string): string {
    return join(this.#into, name);
  }

  async #take(member: TarMember): Promise<void> {
    const name = memberName(member.name);
    const shown = JSON.stringify(member.name.slice(0, 200));
    const { skip } = this.#options;
    if (name === undefined) return skip(`Skipped ${shown}: its name is not that of a file in a folder.`);
    if (member.type === '5' || (name !== member.name && member.name.endsWith('/'))) {
      if (this.#files.has(name) || !(await this.#makeFolder(name))) return skip(`Skipped ${shown}: it is in the place of a file.`);
      this.#folders.set(name, { mode: member.mode, mtime: member.mtime });
      return;
    }
    const folder = dirname(name) === '.' ? '' : dirname(name);
    if (name === '' || this.#folders.has(name) || this.#files.has(name) || !(await this.#makeFolder(folder))) {
      return skip(`Skipped ${shown}: there is something else in its place.`);
    }
    switch (member.type) {
      case '0':
      case '\0':
      case '7':
      case 'S':
        this.#files.add(name);
        await this.#makeFile(name, member);
        return;
      case '1':
        return await this.#makeHardLink(name, member);
      case '2':
        if (member.target === '' || member.target.includes('\0')) return skip(`Skipped ${shown}: it is a link to nowhere.`);
        this.#files.add(name);
        this.#links.push({ name, target: member.target });
        return;
      default:
        return skip(`Skipped ${shown}: it is neither a file nor a directory nor a link.`);
    }
  }

  /** Creates a folder and those above it; false when one of them is a file. */
  async #makeFolder(name: string): Promise<boolean> {
    if (this.#folders.has(name)) return true;
    if (this.#files.has(name)) return false;
    const above = dirname(name) === '.' ? '' : dirname(name);
    if (!(await this.#makeFolder(above))) return false;
    await mkdir(this.#path(name), { mode: 0o700 }).catch((error: unknown) => {
      throw diskError(error, this.#path(name));
    });
    this.#folders.set(name, undefined);
    return true;
  }

  async #makeFile(name: string, member: TarMember): Promise<void> {
    const path = this.#path(name);
    if (member.size > MAX_SIZE || (member.sparse?.size ?? 0) > MAX_SIZE) {
      throw new EngineError('guest.failed', `The file ${JSON.stringify(name)} claims an impossible size.`);
    }
    if (member.sparse === undefined && member.size <= SMALL) {
      const chunks: Buffer[] = [];
      for await (const chunk of member.content) chunks.push(chunk);
      this.#options.onBytes(member.size);
      if (this.#writing.size >= PARALLEL) await this.#settle();
      this.#writing.add(this.#writeSmall(path, Buffer.concat(chunks), member));
      return;
    }
    await writeSparse(path, this.#counted(fullContent(member)), []);
    await this.#finish(path, member);
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#writing);
    this.#writing.clear();
  }

  async #writeSmall(path: string, content: Buffer, member: TarMember): Promise<void> {
    try {
      await writeFile(path, content, { flag: 'wx', mode: 0o600 });
      await this.#finish(path, member);
    } catch (error) {
      this.#failure ??= toEngineError(diskError(error, path));
    }
  }

  async #finish(path: string, member: TarMember): Promise<void> {
    await chmod(path, member.mode & 0o777);
    await setTime(path, member.mtime);
    this.#options.onFile();
  }

  async *#counted(content: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of content) {
      this.#options.signal.throwIfAborted();
      this.#options.onBytes(chunk.length);
      yield chunk;
    }
  }

  async #makeHardLink(name: string, member: TarMember): Promise<void> {
    const target = memberName(member.target);
    await this.#settle();
    const known = target !== undefined && this.#files.has(target) && !this.#links.some((one) => one.name === target);
    if (!known) return this.#options.skip(`Skipped ${JSON.stringify(name)}: it is a hard link to something that was not copied.`);
    this.#files.add(name);
    await link(this.#path(target), this.#path(name));
    this.#options.onFile();
  }

  async #makeLink(name: string, target: string): Promise<void> {
    await symlink(target, this.#path(name)).catch((error: unknown) => {
      throw diskError(error, this.#path(name));
    });
    this.#options.onFile();
  }
}

/** Sets a file's time, if it is known. */
async function setTime(path: string, mtime: number): Promise<void> {
  if (mtime === 0) return;
  const seconds = Number.isFinite(mtime) ? Math.min(Math.max(0, mtime), 2 ** 33) : 0;
  await utimes(path, seconds, seconds);
}

/** The content of a member with its holes. */
async function* fullContent(member: TarMember): AsyncGenerator<Buffer> {
  if (member.sparse === undefined) {
    yield* member.content;
    return;
  }
  const zeros = Buffer.alloc(1024 * 1024);
  let at = 0;
  async function* hole(to: number): AsyncGenerator<Buffer> {
    if (to < at) throw new EngineError('guest.failed', `The sparse file ${JSON.stringify(member.name)} is damaged.`);
    for (; at < to; at += Math.min(zeros.length, to - at)) yield zeros.subarray(0, Math.min(zeros.length, to - at));
  }
  const content = member.content[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  for (const part of member.sparse.parts) {
    yield* hole(part.at);
    for (let left = part.length; left > 0; ) {
      if (rest.length === 0) {
        const next = await content.next();
        if (next.done === true) throw new EngineError('guest.failed', `The sparse file ${JSON.stringify(member.name)} is damaged.`);
        rest = next.value;
        continue;
      }
      const piece = rest.subarray(0, left);
      rest = rest.subarray(piece.length);
      left -= piece.length;
      at += piece.length;
      yield piece;
    }
  }
  yield* hole(member.sparse.size);
}

/**
 * Moves what is at `from` to `to`: in one rename if there is nothing, else file by file into the folder that is there. Links in the way are
 * replaced, never followed. `input.invalid` when a folder and a file would take each other's place.
 */
export async function moveInto(from: string, to: string): Promise<void> {
  const [there, moved] = [await lstatIfAny(to), await lstat(from)];
  if (moved.isDirectory() && there?.isDirectory() === true) {
    for (const name of await readdir(from)) await moveInto(join(from, name), join(to, name));
    return;
  }
  if (there?.isDirectory() === true) throw new EngineError('input.invalid', `${to} is a directory; a file cannot take its place.`);
  if (moved.isDirectory() && there !== undefined) {
    throw new EngineError('input.invalid', `${to} is not a directory; a directory cannot take its place.`);
  }
  try {
    if (there?.isSymbolicLink() === true) await unlink(to);
    await rename(from, to);
  } catch (error) {
    throw diskError(error, to);
  }
}

async function lstatIfAny(path: string): Promise<Awaited<ReturnType<typeof lstat>> | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
}
