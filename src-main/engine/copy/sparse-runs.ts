import { openToRead } from './archive.ts';
import type { LocalEntry } from './local-tree.ts';

/** Size and alignment of holes: that of the guest's script. */
export const BLOCK = 64 * 1024;
const ZEROS = Buffer.alloc(BLOCK);
const CHUNK = 64;

/** Consecutive blocks with data. */
export interface Run {
  /** First block. */
  readonly at: number;
  readonly count: number;
}

/** Where a file has data, by reading it: holes are read quickly. Undefined when there are more than `limit` runs. */
export async function dataRuns(entry: LocalEntry, limit: number, signal: AbortSignal): Promise<readonly Run[] | undefined> {
  await using file = await openToRead(entry.path);
  const runs: { at: number; count: number }[] = [];
  const buffer = Buffer.allocUnsafe(CHUNK * BLOCK);
  for (let block = 0; block * BLOCK < entry.size; block += CHUNK) {
    signal.throwIfAborted();
    const filled = await fill(file.handle, buffer, block * BLOCK);
    for (let at = 0; at < filled; at += BLOCK) {
      const piece = buffer.subarray(at, Math.min(at + BLOCK, filled));
      if (piece.equals(ZEROS.subarray(0, piece.length))) continue;
      const index = block + at / BLOCK;
      const last = runs.at(-1);
      if (last !== undefined && last.at + last.count === index) last.count += 1;
      else runs.push({ at: index, count: 1 });
      if (runs.length > limit) return undefined;
    }
  }
  return runs;
}

/** The whole blocks of the runs, the last one filled up with zeros; then the line that ends them. */
export async function* runContent(
  entry: LocalEntry,
  runs: readonly Run[],
  signal: AbortSignal,
  onBytes: (count: number) => void,
): AsyncGenerator<Buffer> {
  await using file = await openToRead(entry.path);
  for (const run of runs) {
    for (let block = run.at; block < run.at + run.count; block++) {
      signal.throwIfAborted();
      const buffer = Buffer.alloc(BLOCK);
      await fill(file.handle, buffer, block * BLOCK);
      onBytes(BLOCK);
      yield buffer;
    }
  }
  yield Buffer.from('done\n');
}

async function fill(handle: Awaited<ReturnType<typeof openToRead>>['handle'], buffer: Buffer, position: number): Promise<number> {
  let filled = 0;
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}
