import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { sameContent } from '../same-content.ts';
import { undecided } from './compare-trees.ts';
import type { ListedFiles } from './read-packages.ts';

/** Bytes; larger files that may have changed count as changed without being read. */
const MAX_FILE = 64 * 1024 * 1024;
/** Files and bytes that are copied at once, from each side. */
const BATCH_FILES = 500;
const BATCH_BYTES = 256 * 1024 * 1024;

export interface ContentOptions {
  readonly signal: AbortSignal;
  readonly onFraction: (fraction: number) => void;
}

/** Which of the files that a listing cannot decide on have different content. `scratch` is a folder that is there. */
export async function differentContent(
  before: ListedFiles,
  after: ListedFiles,
  scratch: string,
  { signal, onFraction }: ContentOptions,
): Promise<ReadonlySet<string>> {
  const different = new Set<string>();
  const paths = undecided(before.tree, after.tree);
  const sizeOf = (path: string): number => after.tree.get(path)?.size ?? 0;
  for (const path of paths) if (sizeOf(path) > MAX_FILE) different.add(path);
  const wanted = paths.filter((path) => !different.has(path));
  let done = 0;
  for (const batch of batches(wanted, sizeOf)) {
    const [old, now] = [join(scratch, 'content-before'), join(scratch, 'content-after')];
    try {
      await mkdir(old, { mode: 0o700 });
      await mkdir(now, { mode: 0o700 });
      const [oldCopies, nowCopies] = [await before.files.copy(batch, old), await after.files.copy(batch, now)];
      for (const path of batch) {
        const [one, other] = [oldCopies.get(path), nowCopies.get(path)];
        if (one === undefined || other === undefined || !(await sameContent(one, other))) different.add(path);
      }
      signal.throwIfAborted();
    } finally {
      await Promise.all([old, now].map(async (folder) => await rm(folder, { recursive: true, force: true })));
    }
    done += batch.length;
    onFraction(done / wanted.length);
  }
  return different;
}

function* batches(paths: readonly string[], sizeOf: (path: string) => number): Generator<readonly string[]> {
  let batch: string[] = [];
  let bytes = 0;
  for (const path of paths) {
    const size = sizeOf(path);
    if (batch.length > 0 && (batch.length === BATCH_FILES || bytes + size > BATCH_BYTES)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(path);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}
