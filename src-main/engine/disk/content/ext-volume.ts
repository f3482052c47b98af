import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { Debugfs, debugfsWord, type ExtEntry, FILE_TYPE, FOLDER_TYPE, LINK_TYPE, ROOT_INODE, TYPE_BITS } from './debugfs.ts';

/** A file of a volume. */
export interface VolumeEntry {
  readonly type: 'file' | 'folder' | 'link' | 'special';
  /** Permissions only. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of a file's content; 0 for anything else. */
  readonly size: number;
  /** Of a file: two that have the same, on layers of one disk, have the same content. Empty when nothing can be said. */
  readonly stamp: string;
  /** Of a link: where it points. */
  readonly target: string;
}

/** Commands of one debugfs process. */
const BATCH = 5000;
/** As in Linux, which does not take longer paths. */
const MAX_PATH = 4096;

/** All files of an ext2, ext3 or ext4 file system that nobody writes to. It is untrusted; no link in it is followed. */
export class ExtVolume {
  readonly #debugfs: Debugfs;
  readonly #inodes = new Map<string, number>();

  /** `device` is a file with nothing but the file system, `scratch` an existing folder for single files. */
  constructor(device: string, scratch: string, signal: AbortSignal) {
    this.#debugfs = new Debugfs(device, scratch, signal);
  }

  /** Replays the journal of a file system that needs it, which writes to it. */
  async replayJournal(): Promise<void> {
    await this.#debugfs.replayJournal();
  }

  /** Whether its root has a folder of this name. */
  async hasFolder(name: string): Promise<boolean> {
    const entries = (await this.#debugfs.list([ROOT_INODE])).get(ROOT_INODE) ?? [];
    return entries.some((entry) => entry.name === name && isType(entry.mode, FOLDER_TYPE));
  }

  /**
   * Finds all that is in it by path, which begins with `/`, without the root itself and without what is in the folders `leaveOut`. Rejects
   * with `not-available` when that is more than `most`.
   */
  async find(leaveOut: ReadonlySet<string>, most: number): Promise<ReadonlyMap<string, ExtEntry>> {
    const found = await this.#walk(leaveOut, most);
    this.#inodes.clear();
    for (const [path, { inode, mode }] of found) if (isType(mode, FILE_TYPE)) this.#inodes.set(path, inode);
    return found;
  }

  /** Like `find`, with all that is known of each, which takes several times as long. */
  async entries(leaveOut: ReadonlySet<string>, most: number): Promise<ReadonlyMap<string, VolumeEntry>> {
    const found = await this.find(leaveOut, most);
    const files = [...found].filter(([, { mode }]) => isType(mode, FILE_TYPE));
    const links = [...found].filter(([, { mode }]) => isType(mode, LINK_TYPE));
    const stamps = new Map<string, string>();
    for (const batch of batches(files)) {
      const answers = await this.#debugfs.run(batch.map(([, { inode }]) => `stat <${inode}>`));
      for (const [index, [path]] of batch.entries()) stamps.set(path, stampOf(answers[index] ?? ''));
    }
    const targets = new Map<number, string>();
    for (const batch of batches(links)) {
      for (const [inode, target] of await this.#debugfs.targets(batch.map(([, entry]) => entry.inode))) targets.set(inode, target);
    }
    const entries = new Map<string, VolumeEntry>();
    for (const [path, { inode, mode, uid, gid, size }] of found) {
      const type = typeOf(mode);
      entries.set(path, {
        type,
        mode: mode & 0o7777,
        uid,
        gid,
        size: type === 'file' ? size : 0,
        stamp: stamps.get(path) ?? '',
        target: targets.get(inode) ?? '',
      });
    }
    return entries;
  }

  /** Copies files that `find` or `entries` found into a folder of ours; path → copy. */
  async copy(paths: readonly string[], folder: string): Promise<ReadonlyMap<string, string>> {
    const copies = new Map<string, string>();
    const commands: string[] = [];
    for (const path of paths) {
      const inode = this.#inodes.get(path);
      if (inode === undefined) continue;
      const copy = join(folder, String(copies.size));
      copies.set(path, copy);
      commands.push(`dump <${inode}> ${debugfsWord(copy)}`);
    }
    await this.#debugfs.run(commands);
    return copies;
  }

  async #walk(leaveOut: ReadonlySet<string>, most: number): Promise<ReadonlyMap<string, ExtEntry>> {
    const found = new Map<string, ExtEntry>();
    const seen = new Set([ROOT_INODE]);
    let level: (readonly [path: string, inode: number])[] = [['', ROOT_INODE]];
    while (level.length > 0) {
      const next: (readonly [path: string, inode: number])[] = [];
      for (const batch of batches(level)) {
        const lists = await this.#debugfs.list(batch.map(([, inode]) => inode));
        for (const [folder, inode] of batch) {
          for (const entry of lists.get(inode) ?? []) {
            const path = `${folder}/${entry.name}`;
            if (path.length > MAX_PATH) continue;
            if (found.size >= most) throw tooMany(most);
            found.set(path, entry);
            // A damaged file system may contain itself.
            if (!isType(entry.mode, FOLDER_TYPE) || seen.has(entry.inode) || leaveOut.has(path)) continue;
            seen.add(entry.inode);
            next.push([path, entry.inode]);
          }
        }
      }
      level = next;
    }
    return found;
  }
}

function isType(mode: number, type: number): boolean {
  return (mode & TYPE_BITS) === type;
}

function typeOf(mode: number): VolumeEntry['type'] {
  if (isType(mode, FILE_TYPE)) return 'file';
  if (isType(mode, FOLDER_TYPE)) return 'folder';
  return isType(mode, LINK_TYPE) ? 'link' : 'special';
}

/** All that debugfs knows of an inode (its generation, times of change to the nanosecond, blocks), except what reading a file changes. */
function stampOf(stat: string): string {
  if (stat.trim() === '') return '';
  const lasting = stat.replace(/^ *atime:.*$/m, '').replace(/^Inode checksum:.*$/m, '');
  return createHash('sha1').update(lasting).digest('base64');
}

function* batches<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let from = 0; from < items.length; from += BATCH) yield items.slice(from, from + BATCH);
}

function tooMany(most: number): EngineError {
  return new EngineError('not-available', `There are more than ${most} files on the disk: they cannot be compared.`);
}
