import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { diskError } from '../core/files/json-file.ts';
import type { Checksums, HashAlgorithm } from './checksums.ts';

/** Size and alignment of holes. */
const BLOCK = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);
/** Bytes written at once. */
const BATCH = 16 * BLOCK;

export interface WrittenFile {
  /** Length of the content in bytes, holes included. */
  readonly size: number;
  readonly checksums: Checksums;
}

/**
 * Writes content to a file (created or truncated) in one pass: blocks of zeros become holes, all requested checksums are computed on the
 * way, and the data is on disk (fsync) when it resolves. `beforeWrite` gets the number of bytes about to be written and may throw. On
 * failure the file is left as it is; `host.no-space` and `host.denied` as in core/files/json-file.ts.
 */
export async function writeSparse(
  path: string,
  content: AsyncIterable<Buffer>,
  algorithms: readonly HashAlgorithm[],
  beforeWrite?: (bytes: number) => Promise<void>,
): Promise<WrittenFile> {
  const hashes = algorithms.map((algorithm) => ({ algorithm, hash: createHash(algorithm) }));
  let file: FileHandle;
  try {
    file = await open(path, 'w', 0o644);
  } catch (error) {
    throw diskError(error, path);
  }
  // Chunks have any length, and only aligned blocks can become holes. One buffer is reused, since garbage would pile up faster than it is
  // collected.
  const batch = Buffer.allocUnsafe(BATCH);
  let filled = 0;
  let size = 0;
  const isHole = (at: number): boolean => {
    const block = batch.subarray(at, Math.min(at + BLOCK, filled));
    return block.equals(block.length === BLOCK ? ZEROS : ZEROS.subarray(0, block.length));
  };
  async function flush(): Promise<void> {
    await beforeWrite?.(filled);
    try {
      for (let at = 0; at < filled; ) {
        const start = at;
        if (isHole(at)) {
          at += BLOCK;
          continue;
        }
        do at += BLOCK;
        while (at < filled && !isHole(at));
        await writeAll(file, batch.subarray(start, Math.min(at, filled)), size + start);
      }
    } catch (error) {
      throw diskError(error, path);
    }
    size += filled;
    filled = 0;
  }
  try {
    for await (const chunk of content) {
      for (const { hash } of hashes) hash.update(chunk);
      for (let at = 0; at < chunk.length; ) {
        const taken = chunk.copy(batch, filled, at);
        filled += taken;
        at += taken;
        if (filled === BATCH) await flush();
      }
    }
    if (filled > 0) await flush();
    try {
      await file.truncate(size);
      await file.sync();
    } catch (error) {
      throw diskError(error, path);
    }
  } finally {
    await file.close();
  }
  return { size, checksums: Object.fromEntries(hashes.map(({ algorithm, hash }) => [algorithm, hash.digest('hex')])) };
}

async function writeAll(file: FileHandle, data: Buffer, position: number): Promise<void> {
  for (let written = 0; written < data.length; ) {
    written += (await file.write(data, written, data.length - written, position + written)).bytesWritten;
  }
}
