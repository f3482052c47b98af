import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { diskError } from '../core/json-file.ts';
import type { Checksums, HashAlgorithm } from './repository.ts';

const BLOCK = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);

export interface WrittenFile {
  /** Length of the content in bytes, holes included. */
  readonly size: number;
  readonly checksums: Checksums;
}

/**
 * Writes content to a file (made or emptied) in one pass: blocks of zeros become holes, all asked checksums are made on the way,
 * and the data is on disk (fsync) when it resolves. `beforeWrite` is called with the bytes that come next and may throw. The file
 * is left as it is when something fails; `host.no-space` and `host.denied` as in core/json-file.ts.
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
  let size = 0;
  async function write(data: Buffer): Promise<void> {
    try {
      for (let at = 0; at < data.length; at += BLOCK) {
        const block = data.subarray(at, at + BLOCK);
        if (block.equals(block.length === BLOCK ? ZEROS : ZEROS.subarray(0, block.length))) continue;
        let written = 0;
        while (written < block.length) {
          written += (await file.write(block, written, block.length - written, size + at + written)).bytesWritten;
        }
      }
    } catch (error) {
      throw diskError(error, path);
    }
    size += data.length;
  }
  try {
    // Blocks must be aligned for holes to be holes, and chunks come in any length.
    let rest: Buffer = Buffer.alloc(0);
    for await (const chunk of content) {
      for (const { hash } of hashes) hash.update(chunk);
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      const whole = data.length - (data.length % BLOCK);
      rest = data.subarray(whole);
      if (whole === 0) continue;
      await beforeWrite?.(whole);
      await write(data.subarray(0, whole));
    }
    await write(rest);
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
