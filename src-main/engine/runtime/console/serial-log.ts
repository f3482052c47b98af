import { watch } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { HostLogs, LogPosition } from '../../host/host.ts';
import type { PrefixPaths } from '../../prefix/layout.ts';

/**
 * What a VM has printed on its serial console since it was created, also while nobody looked: libvirt's log service (virtlogd) copies
 * it to a file. At 2 MiB that becomes `FILE.0` (before it `FILE.1`, `FILE.2`) and a new file begins.
 */
export function serialLogPath(paths: PrefixPaths, vm: string): string {
  return join(paths.logs, `${vm}.console`);
}

/** The end of a serial log, and where it ends: `followSerialLog` goes on from there without a gap or a repetition. */
export interface SerialTail {
  readonly bytes: Buffer;
  readonly end: LogPosition;
}

const CHUNK = 64 * 1024;
/** The log is missing (the VM was last started by an older version or never) or belongs to another user. */
const UNREADABLE = new Set<string | undefined>(['ENOENT', 'EACCES', 'EPERM']);

async function openIfReadable(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if (UNREADABLE.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/** The bytes from `from` to `to`, or fewer if the file ends before. */
async function readRange(file: FileHandle, from: number, to: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, to - from));
  let length = 0;
  while (length < buffer.length) {
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, from + length);
    if (bytesRead === 0) break;
    length += bytesRead;
  }
  return buffer.subarray(0, length);
}

/** The logs of a host on this machine: files, read as they grow. */
export const LOCAL_LOGS: HostLogs = {
  tail: readSerialTail,
  follow: (path, from, signal) => followSerialLog(path, { ...(from === undefined ? {} : { from }), signal }),
};

/** The last `bytes` of a serial log, reaching into the file before the last rotation. Undefined where there is none that we may read. */
export async function readSerialTail(path: string, bytes: number): Promise<SerialTail | undefined> {
  await using file = await openIfReadable(path);
  if (file === undefined) return undefined;
  const { size, ino } = await file.stat();
  const last = await readRange(file, Math.max(0, size - bytes), size);
  const end = { inode: ino, offset: size };
  if (last.length >= bytes) return { bytes: last, end };
  await using older = await openIfReadable(`${path}.0`);
  if (older === undefined) return { bytes: last, end };
  const { size: olderSize, ino: olderInode } = await older.stat();
  // Rotated between the two: the file that was read is the older one now.
  if (olderInode === ino) return { bytes: last, end };
  const before = await readRange(older, Math.max(0, olderSize - (bytes - last.length)), olderSize);
  return { bytes: Buffer.concat([before, last]), end };
}

export interface FollowOptions {
  /** Where to begin; default: with what is printed from now on. */
  readonly from?: LogPosition;
  readonly signal: AbortSignal;
}

/**
 * Yields what is added to a serial log, through rotations, until `signal` aborts; waits for a file that is not there yet. The kernel
 * reports changes; nothing is polled. A reader that lags behind by more than one rotation misses what lies between.
 */
export async function* followSerialLog(path: string, options: FollowOptions): AsyncGenerator<Buffer, void> {
  const { signal } = options;
  if (signal.aborted) return;
  // Begins before the first read, so that no change is missed.
  using changes = watchFile(path, signal);
  let present = await beginAt(path, options.from);
  try {
    while (!signal.aborted) {
      const seen = changes.count;
      yield* readOn(present);
      const next = await openNext(path, present);
      if (next !== undefined) {
        // What was written to the old file before it was put aside.
        yield* readOn(present);
        await present?.file.close();
        present = next;
      } else await changes.after(seen);
    }
  } finally {
    await present?.file.close();
  }
}

interface FileChanges extends Disposable {
  /** Changes so far. */
  readonly count: number;
  /** Waits until there were more than `count` changes, or for the abort. Throws when the folder can no longer be watched. */
  after(count: number): Promise<void>;
}

/** Counts the changes of a file that may be replaced; its folder must exist. */
function watchFile(path: string, signal: AbortSignal): FileChanges {
  const name = basename(path);
  let count = 0;
  let failure: Error | undefined;
  let wake = (): void => undefined;
  const tell = (): void => wake();
  const watcher = watch(dirname(path), (_event, changed) => {
    if (changed !== null && changed !== name) return;
    count += 1;
    tell();
  });
  watcher.on('error', (error) => {
    failure = error;
    tell();
  });
  signal.addEventListener('abort', tell);
  return {
    get count() {
      return count;
    },
    async after(before) {
      while (count === before && failure === undefined && !signal.aborted) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      if (failure !== undefined) throw failure;
    },
    [Symbol.dispose]() {
      signal.removeEventListener('abort', tell);
      watcher.close();
    },
  };
}

interface OpenLog {
  readonly file: FileHandle;
  readonly inode: number;
  offset: number;
}

async function beginAt(path: string, from: LogPosition | undefined): Promise<OpenLog | undefined> {
  for (const candidate of from === undefined ? [path] : [path, `${path}.0`]) {
    const file = await openIfReadable(candidate);
    if (file === undefined) continue;
    const { ino: inode, size } = await file.stat();
    if (from === undefined) return { file, inode, offset: size };
    if (from.inode === inode) return { file, inode, offset: from.offset };
    await file.close();
  }
  return from === undefined ? undefined : await openNext(path, undefined);
}

/** The log's file of now, if it is another one than before. */
async function openNext(path: string, present: OpenLog | undefined): Promise<OpenLog | undefined> {
  const file = await openIfReadable(path);
  if (file === undefined) return undefined;
  const { ino: inode } = await file.stat();
  if (inode !== present?.inode) return { file, inode, offset: 0 };
  await file.close();
  return undefined;
}

async function* readOn(log: OpenLog | undefined): AsyncGenerator<Buffer, void> {
  while (log !== undefined) {
    const { bytesRead, buffer } = await log.file.read(Buffer.alloc(CHUNK), 0, CHUNK, log.offset);
    if (bytesRead === 0) return;
    log.offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
