import { spawn } from 'node:child_process';
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { isDead } from './fault.ts';
import { diskError } from './json-file.ts';

export interface LockOptions {
  /** How long to wait for the present holder; 0 answers at once. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** What the holder does ("start"), told to those who wait. */
  readonly purpose?: string;
  /** Mode of a lock file that is made (default 0660, so that a group can share it). */
  readonly mode?: number;
}

/** A held lock; the kernel drops it when this process ends in any way. */
export interface HeldLock extends AsyncDisposable {
  release(): Promise<void>;
}

const CONFLICT = 75;

/**
 * Takes an exclusive flock(2) on `path`, making the file when needed. The lock belongs to the open file description: the `flock`
 * program takes it on our descriptor and exits, we keep it, and no killed process leaves one behind (node has no flock of its own).
 * Compatible with Lago's own flock users. Throws `conflict.locked`, naming the holder, when it is not free in time.
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<HeldLock> {
  options.signal?.throwIfAborted();
  let file: FileHandle;
  try {
    file = await open(path, 'a+', options.mode ?? 0o660);
  } catch (error) {
    throw diskError(error, path);
  }
  try {
    await flock(file.fd, path, options);
    await file.truncate(0);
    await file.write(JSON.stringify({ pid: process.pid, purpose: options.purpose ?? '', since: Date.now() }), 0);
  } catch (error) {
    await file.close();
    throw error;
  }
  let held = true;
  async function release(): Promise<void> {
    if (!held) return;
    held = false;
    if (!isDead()) await file.truncate(0);
    await file.close();
  }
  return { release, [Symbol.asyncDispose]: release };
}

async function flock(fd: number, path: string, options: LockOptions): Promise<void> {
  const waitSeconds = (options.waitMs ?? 0) / 1000;
  const wait = waitSeconds > 0 ? ['-w', String(waitSeconds)] : ['-n'];
  const code = await new Promise<number | null>((resolve, reject) => {
    const child = spawn('flock', ['-x', '-E', String(CONFLICT), ...wait, '3'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
    const abort = (): void => void child.kill();
    options.signal?.addEventListener('abort', abort, { once: true });
    child.on('error', reject);
    child.on('close', (exit) => {
      options.signal?.removeEventListener('abort', abort);
      resolve(exit);
    });
  }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
    throw new EngineError('host.missing-tool', 'The program flock (package util-linux) is not installed.', { cause: error });
  });
  if (options.signal?.aborted) throw new EngineError('cancelled', 'Cancelled while waiting for a lock.');
  if (code === 0) return;
  if (code !== CONFLICT) throw new EngineError('host.unavailable', `Could not lock ${path}.`, { details: { path, exit: code } });
  const holder = await readHolder(path);
  throw new EngineError('conflict.locked', holder === undefined ? `${path} is locked.` : `${path} is locked by ${holder}.`, {
    details: { path },
    hint: 'Wait until it has finished, or cancel it there.',
  });
}

/** Who holds the lock, as "start (pid 4711, since 12 s)"; undefined when the file does not say. */
export async function readHolder(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
  const match = /^\{"pid":(\d+),"purpose":"([^"]*)","since":(\d+)\}$/.exec(text);
  if (match === null) return undefined;
  const seconds = Math.max(0, Math.round((Date.now() - Number(match[3])) / 1000));
  return `${match[2] === '' ? 'another command' : match[2]} (pid ${match[1]}, since ${seconds} s)`;
}
