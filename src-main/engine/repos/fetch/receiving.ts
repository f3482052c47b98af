import { createHash, type Hash } from 'node:crypto';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/files/disk-error.ts';
import { type Checksum, hashFile } from './checksum.ts';
import { AttemptFailure } from './failure.ts';

/** A file whose content is known by its checksum. */
export interface WantedFile {
  /** Below the mirrors. */
  readonly location: string;
  /** In place of the mirrors. */
  readonly base?: string | undefined;
  /** Bytes; undefined when the repository does not say. */
  readonly size?: number | undefined;
  readonly checksum: Checksum;
}

/** Files up to this size are written when they are complete; larger ones as they arrive. */
const IN_MEMORY = 256 * 1024;

/** What was received of one file: in memory while it is small, else in its part on disk. */
export class Receiving {
  /** Bytes that are here. */
  received = 0;
  /** Bytes that ever arrived: grows even when they had to be thrown away, but not twice for the same. */
  progress = 0;
  readonly #path: string;
  readonly #wanted: WantedFile;
  #hash: Hash;
  #memory: Buffer[] = [];
  #file: FileHandle | undefined;
  #onDisk = false;
  #verified = false;

  private constructor(path: string, wanted: WantedFile) {
    this.#path = path;
    this.#wanted = wanted;
    this.#hash = createHash(wanted.checksum.algorithm);
  }

  /** `kept`: there is a part of an earlier process. */
  static async open(path: string, wanted: WantedFile, kept: boolean, signal: AbortSignal | undefined): Promise<Receiving> {
    const receiving = new Receiving(path, wanted);
    if (!kept) return receiving;
    receiving.#hash = await hashFile(path, wanted.checksum.algorithm, signal);
    receiving.received = (await stat(path)).size;
    receiving.progress = receiving.received;
    receiving.#onDisk = true;
    return receiving;
  }

  /** Whether the part holds the whole file already. One that cannot become right is thrown away. */
  async isComplete(): Promise<boolean> {
    const { size, checksum } = this.#wanted;
    if (this.received === 0 || this.received < (size ?? 0)) return false;
    if (this.#hash.copy().digest('hex') === checksum.hex) this.#verified = true;
    else if (size !== undefined) await this.restart();
    return this.#verified;
  }

  /** Whether a file of so many bytes cannot be the wanted one. */
  needsMoreThan(bytes: number): boolean {
    return bytes < (this.#wanted.size ?? 0);
  }

  async add(chunk: Buffer): Promise<void> {
    const { size } = this.#wanted;
    if (size !== undefined && this.received + chunk.length > size) {
      await this.restart();
      throw new AttemptFailure('wrong', `it is larger than the ${size} bytes that the repository says`);
    }
    this.#hash.update(chunk);
    const large = this.#onDisk || this.received + chunk.length > IN_MEMORY;
    if (large) await this.#write(chunk);
    else this.#memory.push(chunk);
    this.received += chunk.length;
    this.progress = Math.max(this.progress, this.received);
  }

  async #write(chunk: Buffer): Promise<void> {
    try {
      this.#file ??= await open(this.#path, 'a', 0o644);
      this.#onDisk = true;
      for (const piece of [...this.#memory, chunk]) await this.#file.appendFile(piece);
      this.#memory = [];
    } catch (error) {
      throw notWritten(error, this.#path);
    }
  }

  /** Throws away what is here. */
  async restart(): Promise<void> {
    await this.close();
    if (this.#onDisk) await rm(this.#path, { force: true });
    this.#onDisk = false;
    this.#memory = [];
    this.#hash = createHash(this.#wanted.checksum.algorithm);
    this.received = 0;
  }

  /** After the end of an answer: it is whole and right, or the attempt has failed. */
  async check(): Promise<void> {
    const { size, checksum } = this.#wanted;
    if (size !== undefined && this.received < size) {
      throw new AttemptFailure('dropped', `the connection ended at byte ${this.received} of ${size}`);
    }
    this.#verified = this.#hash.copy().digest('hex') === checksum.hex;
    if (this.#verified) return;
    await this.restart();
    throw new AttemptFailure('wrong', `its ${checksum.algorithm} checksum is not the one that the repository says`);
  }

  /** Puts the verified file in its place. */
  async place(path: string): Promise<void> {
    try {
      // Of small files there are thousands, and the way to another thread and back takes longer than the work.
      if (!this.#onDisk) writeFileSync(this.#path, Buffer.concat(this.#memory));
      this.#onDisk = true;
      await this.close();
      renameMaking(this.#path, path);
    } catch (error) {
      throw notWritten(error, path);
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

/** A failure of this machine's disk: no other mirror helps. */
function notWritten(error: unknown, path: string): EngineError {
  const known = diskError(error, path);
  if (known instanceof EngineError) return known;
  return new EngineError('host.unavailable', `${path} cannot be written: ${(error as Error).message}.`, { cause: error });
}

/** Renames, making the folder of the target when it is missing. */
function renameMaking(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(to), { recursive: true });
    renameSync(from, to);
  }
}
