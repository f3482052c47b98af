import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { run } from '../../core/run.ts';

/** An entry of a folder of an ext file system. */
export interface ExtEntry {
  readonly inode: number;
  /** Type and permissions. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  readonly size: number;
}

/** The inode of a file system's root folder. */
export const ROOT_INODE = 2;
/** The bits of a mode that say what it is, and their values. */
export const TYPE_BITS = 0o170000;
export const FOLDER_TYPE = 0o040000;
export const FILE_TYPE = 0o100000;
export const LINK_TYPE = 0o120000;

/** Output of one process. */
const MAX_OUTPUT = 256 * 1024 * 1024;

/**
 * debugfs on an ext2, ext3 or ext4 file system: no mount, no root. The file system is untrusted; debugfs is only given inode numbers and
 * paths of ours, and what it prints is data.
 */
export class Debugfs {
  readonly #device: string;
  readonly #scratch: string;
  readonly #signal: AbortSignal;

  /** `device` is a file with nothing but the file system, `scratch` an existing folder for single files. */
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

  /** The entries of each of these folders. */
  async list(inodes: readonly number[]): Promise<ReadonlyMap<number, readonly ExtEntry[]>> {
    const answers = await this.run(inodes.map((inode) => `ls -p <${inode}>`));
    return new Map(inodes.map((inode, index) => [inode, entriesOf(answers[index] ?? '')]));
  }

  /** Where each of these symbolic links points. */
  async targets(inodes: readonly number[]): Promise<ReadonlyMap<number, string>> {
    const answers = await this.run(inodes.map((inode) => `stat <${inode}>`));
    const targets = new Map<number, string>();
    for (const [index, inode] of inodes.entries()) {
      const fast = /^Fast link dest: "([\s\S]*)"$/m.exec((answers[index] ?? '').trimEnd())?.[1];
      targets.set(inode, fast ?? (await this.run([`cat <${inode}>`]))[0] ?? '');
    }
    return targets;
  }

  /** Runs commands in one process; the answer of each. Those that it did not come to have none. */
  async run(commands: readonly string[]): Promise<readonly string[]> {
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
export function entriesOf(output: string): readonly ExtEntry[] {
  const found = output.matchAll(/^\/(\d+)\/([0-7]{6})\/(\d+)\/(\d+)\/([^/]+)\/(\d*)\/$/gm);
  return [...found]
    .map(([, inode, mode = '', uid, gid, name = '', size]) => ({
      inode: Number(inode),
      mode: Number.parseInt(mode, 8),
      uid: Number(uid),
      gid: Number(gid),
      name,
      size: Number(size),
    }))
    .filter(({ inode, name }) => inode > 0 && name !== '.' && name !== '..');
}

/** A path of ours as a word of debugfs's language. */
export function debugfsWord(path: string): string {
  return `"${path.replaceAll('"', '""')}"`;
}
