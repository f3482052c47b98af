import { createReadStream } from 'node:fs';
import { decompress, decompressWith } from '../../core/decompress.ts';

const CHUNK = 256 * 1024;

/**
 * The content of a metadata file on disk, as it is unpacked: plain, gzip, xz, zstd, bzip2 (by its first bytes) or zchunk (by its name, with
 * the program unzck). Errors as `decompress`.
 */
export async function unpackMetadata(path: string, what: string, signal?: AbortSignal): Promise<AsyncIterable<Buffer>> {
  if (path.endsWith('.zck')) return decompressWith(['unzck', '--stdout', path], nothing(), what, signal);
  const file = createReadStream(path, { highWaterMark: CHUNK });
  return (await decompress(file as AsyncIterable<Buffer>, what, signal)).content;
}

async function* nothing(): AsyncGenerator<Buffer> {
  // unzck reads the file by itself: it needs to seek.
}
