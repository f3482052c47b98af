import { createReadStream } from 'node:fs';
import { chown, mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { run } from '../core/run.ts';
import type { TarMember } from './tar/tar-members.ts';

interface Entry {
  readonly inode: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly name: string;
  readonly size: number;
}

const ROOT = 2;
const TYPE = 0o170000;
const FOLDER = 0o040000;
const FILE = 0o100000;
const LINK = 0o120000;
/** Commands of one debugfs process. */
const BATCH = 200;
const MAX_LINKS = 40;
/** Output of one debugfs process. */
const MAX_OUTPUT = 256 * 1024 * 1024;

/**
 * Files of an ext2, ext3 or ext4 file system, read with debugfs: no mount, no root. The file system is untrusted; debugfs is only given
 * inode numbers and paths of ours, and what it prints is data. `scratch` is an existing folder for single files.
 */
export class ExtFiles {
  readonly #device: string;
  readonly #scratch: string;
  readonly #signal: AbortSignal;

  /** `device` is a file with nothing but the file system. */
  constructor(device: string, scratch: string, signal: AbortSignal) {
    this.#device = device;
    this.#scratch = scratch;
    this.#signal = signal;
  }

  /** Replays the journal of a file system that needs it, which writes to it. */
  async replayJournal(): Promise<void> {
    const result = await run(['debugfs', '-w', '-R', 'journal_run', this.#device], { signal: this.#signal, env: sbinPath() });
    if (result.code !== 0 || result.stderr.includes('journal_run:')) {
      throw new EngineError('host.unavailable', 'The journal of the file system could not be replayed.', {
        details: { stderr: result.stderr.slice(-2000) },
      });
    }
  }

  /** What is at an absolute path, links on the way and at its end followed; undefined if there is nothing. */
  async find(
    path: string,
  ): Promise<{ readonly inode: number; readonly kind: 'file' | 'folder' | 'special'; readonly mode: number } | undefined> {
    let at: Entry[] = [{ inode: ROOT, mode: FOLDER, name: '', size: 0 }];
    const parts = path.split('/').reverse();
    let links = 0;
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      if (part === '' || part === '.') continue;
      if (part === '..') {
        if (at.length > 1) at = at.slice(0, -1);
        continue;
      }
      const folder = at.at(-1);
      if (folder === undefined || (folder.mode & TYPE) !== FOLDER) return undefined;
      const found = (await this.#list([folder.inode])).get(folder.inode)?.find(({ name }) => name === part);
      if (found === undefined) return undefined;
      if ((found.mode & TYPE) !== LINK) {
        at = [...at, found];
        continue;
      }
      if (++links > MAX_LINKS) return undefined;
      const target = (await this.#targets([found.inode])).get(found.inode) ?? '';
      if (target.startsWith('/')) at = at.slice(0, 1);
      parts.push(...target.split('/').reverse());
    }
    const last = at.at(-1);
    if (last === undefined) return undefined;
    const type = last.mode & TYPE;
    return { inode: last.inode, kind: type === FOLDER ? 'folder' : type === FILE ? 'file' : 'special', mode: last.mode };
  }

  /** A file, as the only member of an archive under the name "f". */
  async *file(inode: number, mode: number): AsyncGenerator<TarMember> {
    yield* this.#files([{ inode, mode, name: 'f', size: 0 }]);
  }

  /** Everything below a folder as the members of an archive, each folder before its content. */
  async *tree(inode: number): AsyncGenerator<TarMember> {
    const seen = new Set([inode]);
    let level: readonly { readonly inode: number; readonly path: string }[] = [{ inode, path: '' }];
    while (level.length > 0) {
      const next: { inode: number; path: string }[] = [];
      for (let from = 0; from < level.length; from += BATCH) {
        const folders = level.slice(from, from + BATCH);
        const lists = await this.#list(folders.map((folder) => folder.inode));
        const entries = folders.flatMap(({ inode: of, path }) =>
          (lists.get(of) ?? []).map((entry) => ({ ...entry, name: path === '' ? entry.name : `${path}/${entry.name}` })),
        );
        for (const entry of entries) {
          if ((entry.mode & TYPE) !== FOLDER || seen.has(entry.inode)) continue;
          // A damaged file system may contain itself.
          seen.add(entry.inode);
          next.push({ inode: entry.inode, path: entry.name });
          yield member(entry, '5');
        }
        const links = entries.filter((entry) => (entry.mode & TYPE) === LINK);
        const targets = await this.#targets(links.map((entry) => entry.inode));
        for (const entry of links) yield member(entry, '2', targets.get(entry.inode));
        yield* this.#files(entries.filter((entry) => (entry.mode & TYPE) === FILE));
        for (const entry of entries) if (![FOLDER, LINK, FILE].includes(entry.mode & TYPE)) yield member(entry, '3');
      }
      level = next;
    }
  }

  async *#files(entries: readonly Entry[]): AsyncGenerator<TarMember> {
    for (let from = 0; from < entries.length; from += BATCH) {
      const folder = join(this.#scratch, 'files');
      await mkdir(folder, { mode: 0o700 });
      try {
        const batch = entries.slice(from, from + BATCH);
        const commands = batch.map((entry, index) => `dump -p <${entry.inode}> ${quoted(join(folder, String(index)))}`);
        await this.#run(commands);
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

  async #list(inodes: readonly number[]): Promise<ReadonlyMap<number, readonly Entry[]>> {
    const answers = await this.#run(inodes.map((inode) => `ls -p <${inode}>`));
    return new Map(inodes.map((inode, index) => [inode, entriesOf(answers[index] ?? '')]));
  }

  async #targets(inodes: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const answers = await this.#run(inodes.map((inode) => `stat <${inode}>`));
    const targets = new Map<number, string>();
    for (const [index, inode] of inodes.entries()) {
      const fast = /^Fast link dest: "([\s\S]*)"$/m.exec((answers[index] ?? '').trimEnd())?.[1];
      targets.set(inode, fast ?? (await this.#run([`cat <${inode}>`]))[0] ?? '');
    }
    return targets;
  }

  /** Runs commands in one process; the answer of each. */
  async #run(commands: readonly string[]): Promise<readonly string[]> {
    if (commands.length === 0) return [];
    const file = join(this.#scratch, 'commands');
    await writeFile(file, `${commands.join('\n')}\n`, { mode: 0o600 });
    const result = await run(['debugfs', '-f', file, this.#device], { signal: this.#signal, maxOutput: MAX_OUTPUT, env: sbinPath() });
    if (result.code !== 0) {
      throw new EngineError('host.unavailable', 'debugfs could not read the file system.', {
        details: { stderr: result.stderr.slice(-2000) },
      });
    }
    // It prints each command before its answer.
    const answers: string[] = [];
    let rest = result.stdout;
    for (const [index, command] of commands.entries()) {
      const begin = `debugfs: ${command}\n`;
      const at = rest.indexOf(begin);
      if (at < 0) break;
      rest = rest.slice(at + begin.length);
      const following = commands[index + 1];
      const end = following === undefined ? -1 : rest.indexOf(`debugfs: ${following}\n`);
      answers.push(end < 0 ? rest : rest.slice(0, end));
    }
    return answers;
  }
}

/** debugfs is in sbin, which is not on every user's PATH. */
function sbinPath(): { readonly PATH: string } {
  return { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
}

/** The lines `/INODE/MODE/UID/GID/NAME/SIZE/`; a name may contain line breaks. */
export function entriesOf(output: string): readonly Entry[] {
  const found = output.matchAll(/^\/(\d+)\/([0-7]{6})\/\d+\/\d+\/([^/]+)\/(\d*)\/$/gm);
  return [...found]
    .map(([, inode, mode = '', name = '', size]) => ({
      inode: Number(inode),
      mode: Number.parseInt(mode, 8),
      name,
      size: Number(size),
    }))
    .filter(({ inode, name }) => inode > 0 && name !== '.' && name !== '..');
}

function quoted(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}

function member(entry: Entry, type: string, target = ''): TarMember {
  return { name: entry.name, type, size: 0, mode: entry.mode, mtime: 0, target, sparse: undefined, content: nothing() };
}

async function* nothing(): AsyncGenerator<Buffer> {}
