import { type FileHandle, open, readFile } from 'node:fs/promises';
import { drop, silentLog } from '../core/log.ts';
import { tarEnd, tarHeader, tarPadding } from '../disk/tar/tar-writer.ts';
import { type LocalEntry, unreadable } from './local-tree.ts';

/** Files up to this size are read at once, some of them ahead. */
const SMALL = 1024 * 1024;
const AHEAD = 16;
/** Bytes collected before they are sent. */
const BATCH = 128 * 1024;

export interface ArchiveOptions {
  readonly signal: AbortSignal;
  /** Called when a member has been given out. */
  readonly onEntry: (entry: LocalEntry) => void;
  readonly onBytes: (count: number) => void;
  readonly warn: (sentence: string) => void;
}

/**
 * The archive of a tree for `UNPACK`: the root as "c", then everything below it, then an empty file "done". A file that shrinks meanwhile
 * is filled up with zeros, with a warning.
 */
export async function* archiveOf(root: LocalEntry, entries: readonly LocalEntry[], options: ArchiveOptions): AsyncGenerator<Buffer> {
  let batch: Buffer[] = [];
  let waiting = 0;
  const collect = (...chunks: readonly Buffer[]): void => {
    for (const chunk of chunks) {
      batch.push(chunk);
      waiting += chunk.length;
    }
  };
  const all = [root, ...entries];
  const reads = new Map<number, Promise<Buffer>>();
  const readAhead = (from: number): void => {
    for (let index = from; index < Math.min(from + AHEAD, all.length); index++) {
      const entry = all[index];
      if (entry === undefined || entry.type !== 'file' || entry.size > SMALL || reads.has(index)) continue;
      const read = readFile(entry.path);
      // Awaited in its turn; until then a failure must not count as unhandled.
      drop(read, silentLog, entry.path);
      reads.set(index, read);
    }
  };
  for (const [index, entry] of all.entries()) {
    options.signal.throwIfAborted();
    readAhead(index);
    const { type, mode, mtime, target } = entry;
    const name = entry.name === '' ? 'c' : `c/${entry.name}`;
    const read = reads.get(index);
    reads.delete(index);
    if (read !== undefined) {
      const content = await read.catch((error: unknown) => {
        throw unreadable(error, entry.path);
      });
      collect(tarHeader({ name, type, mode, mtime, size: content.length }), content, tarPadding(content.length));
      options.onBytes(content.length);
    } else if (type === 'file') {
      collect(tarHeader({ name, type, mode, mtime, size: entry.size }));
      for await (const chunk of exactly(entry, 0, options)) {
        collect(chunk);
        yield Buffer.concat(batch);
        batch = [];
        waiting = 0;
      }
      collect(tarPadding(entry.size));
    } else collect(tarHeader({ name, type, mode, mtime, target }));
    options.onEntry(entry);
    if (waiting >= BATCH) {
      yield Buffer.concat(batch);
      batch = [];
      waiting = 0;
    }
  }
  collect(tarHeader({ name: 'done', type: 'file', mode: 0o600, mtime: 0 }), tarEnd());
  yield Buffer.concat(batch);
}

/** Exactly the bytes of a file from `from` to the size that it had when it was looked at. */
export async function* exactly(
  entry: LocalEntry,
  from: number,
  options: Pick<ArchiveOptions, 'signal' | 'onBytes' | 'warn'>,
): AsyncGenerator<Buffer> {
  await using file = await openToRead(entry.path);
  for (let at = from; at < entry.size; ) {
    options.signal.throwIfAborted();
    const length = Math.min(BATCH, entry.size - at);
    const { bytesRead, buffer } = await file.handle.read(Buffer.allocUnsafe(length), 0, length, at);
    if (bytesRead === 0) {
      options.warn(`${entry.path} became shorter while it was read: its copy ends with zeros.`);
      for (; at < entry.size; at += BATCH) yield Buffer.alloc(Math.min(BATCH, entry.size - at));
      return;
    }
    at += bytesRead;
    options.onBytes(bytesRead);
    yield buffer.subarray(0, bytesRead);
  }
}

/** Opens a file; disposing closes it (Node 20's handles are not disposable themselves). */
export async function openToRead(path: string): Promise<AsyncDisposable & { readonly handle: FileHandle }> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw unreadable(error, path);
  });
  return { handle, [Symbol.asyncDispose]: async () => await handle.close() };
}
