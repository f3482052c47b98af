import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/json-file.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';

/** What was fetched of an image that nobody went on with for so long is removed. */
const STALE_PART_MS = 7 * 24 * 3600 * 1000;

/** Whether a download ended so that it is worth going on with: all else that came is wrong, or in the way. */
export function isBrokenOff(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || (error instanceof EngineError && error.code === 'remote.unreachable');
}

/** Removes what is kept in a store of downloads that nobody goes on with: each `NAME.part`, under the lock `NAME.lock`. */
export async function removeStaleParts(store: string): Promise<void> {
  const names = await readdir(store, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw diskError(error, store);
  });
  for (const name of names.filter((entry) => entry.endsWith('.part'))) {
    const part = join(store, name);
    const found = await stat(part).catch(() => undefined);
    if (found === undefined || Date.now() - found.mtimeMs < STALE_PART_MS) continue;
    try {
      await using _lock = await takeLock(`${part.slice(0, -'.part'.length)}.lock`, { purpose: 'removal of an old download' });
      await rm(part, { force: true });
      await rm(`${part}.json`, { force: true });
    } catch (error) {
      if (!isTaken(error)) throw error;
    }
  }
}

/** Where what came of a URL's download is kept in a store, held until it is disposed; undefined when another process fetches it, or nothing can be kept. */
export async function holdPart(
  store: string,
  url: string,
  signal: AbortSignal | undefined,
): Promise<({ readonly path: string } & AsyncDisposable) | undefined> {
  await removeStaleParts(store);
  const folder = join(store, '.parts');
  const name = join(folder, createHash('sha256').update(url).digest('hex'));
  let lock: HeldLock;
  try {
    await mkdir(folder, { recursive: true }).catch((error: unknown) => {
      throw diskError(error, folder);
    });
    lock = await takeLock(`${name}.lock`, { signal, purpose: `download of ${url}` });
  } catch (error) {
    if (isTaken(error)) return undefined;
    throw error;
  }
  return { path: `${name}.part`, [Symbol.asyncDispose]: async () => await lock.release() };
}

/** Another process has it, or it is another user's. */
function isTaken(error: unknown): boolean {
  return error instanceof EngineError && (error.code === 'conflict.locked' || error.code === 'host.denied');
}
