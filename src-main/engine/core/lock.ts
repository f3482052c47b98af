import { spawn } from 'node:child_process';
import { type FileHandle, open, readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { EngineError } from '../../../src-shared/errors.ts';
import { isDead } from './fault.ts';
import { diskError } from './files/json-file.ts';
import { bootId, isRunning, startTimeOf } from './process-identity.ts';

export interface LockOptions {
  /** How long to wait for the current holder; 0 returns at once. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
  /** What the holder is doing ("start"), shown to processes that wait. */
  readonly purpose?: string;
  /** Mode of a newly created lock file (default 0660, so that a group can share it). */
  readonly mode?: number;
}

/** A held lock; the kernel drops it when this process ends in any way. */
export interface HeldLock extends AsyncDisposable {
  release(): Promise<void>;
}

const CONFLICT = 75;
const NO_SPACE = new Set(['ENOSPC', 'EDQUOT']);

/**
 * Takes an exclusive flock(2) on `path`, creating the file if needed. The lock belongs to the open file description: the `flock` program
 * locks our descriptor and exits, and we keep it (node has no flock of its own), so a killed process leaves no lock. Compatible with Lago's
 * own flock. Throws `conflict.locked`, naming the holder, when it is not free in time, and ENOENT when the folder is gone. An existing lock
 * file works on a full disk: freeing space needs a lock too.
 */
export async function takeLock(path: string, options: LockOptions = {}): Promise<HeldLock> {
  const deadline = Date.now() + (options.waitMs ?? 0);
  for (;;) {
    options.signal?.throwIfAborted();
    let file: FileHandle;
    try {
      file = await open(path, 'a+', options.mode ?? 0o660);
    } catch (error) {
      throw diskError(error, path);
    }
    try {
      await flock(file.fd, path, { ...options, waitMs: Math.max(0, deadline - Date.now()) });
      // After waiting we may hold the lock of a file that its last holder deleted, which protects nothing.
      if (await isStill(file, path)) {
        await noteHolder(file, options.purpose ?? '');
        return heldLock(file);
      }
    } catch (error) {
      await file.close();
      throw error;
    }
    await file.close();
  }
}

function heldLock(file: FileHandle): HeldLock {
  let held = true;
  async function release(): Promise<void> {
    if (!held) return;
    held = false;
    try {
      if (!isDead()) await file.truncate(0);
    } finally {
      await file.close();
    }
  }
  return { release, [Symbol.asyncDispose]: release };
}

/** Whether the open file is still the one at the path. */
async function isStill(file: FileHandle, path: string): Promise<boolean> {
  const own = await file.stat();
  try {
    const present = await stat(path);
    return present.ino === own.ino && present.dev === own.dev;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw diskError(error, path);
  }
}

/** Writes the holder into the file. The lock is valid without that: on a full disk the holder stays unnamed. */
async function noteHolder(file: FileHandle, purpose: string): Promise<void> {
  await file.truncate(0);
  const holder = { pid: process.pid, purpose, since: Date.now(), start: startTimeOf(process.pid) ?? '', boot: bootId() };
  try {
    await file.write(JSON.stringify(holder), 0);
  } catch (error) {
    if (!NO_SPACE.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await file.truncate(0);
  }
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

// Made when a file is read, which is seldom: a verb that only loads this module does without zod.
const holderSchema = () =>
  z.object({
    pid: z.number().int(),
    purpose: z.string(),
    since: z.number(),
    /** Start time and boot of the process (`process-identity.ts`): pids are reused. */
    start: z.string(),
    boot: z.string(),
  });

/**
 * The lock's holder, as "start (pid 4711, since 12 s)"; undefined when the file does not say or names a process that has ended (a killed
 * one leaves its name). Starts no process and never waits.
 */
export async function readHolder(path: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw diskError(error, path);
  }
  const holder = parseHolder(text);
  if (holder === undefined || !isRunning({ pid: holder.pid, startTime: holder.start, boot: holder.boot })) return undefined;
  const seconds = Math.max(0, Math.round((Date.now() - holder.since) / 1000));
  return `${holder.purpose === '' ? 'another command' : holder.purpose} (pid ${holder.pid}, since ${seconds} s)`;
}

function parseHolder(text: string): z.infer<ReturnType<typeof holderSchema>> | undefined {
  try {
    return holderSchema().safeParse(JSON.parse(text)).data;
  } catch (error) {
    // Half-written, or written by another program.
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
