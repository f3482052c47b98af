import { createHash } from 'node:crypto';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import { diskError } from '../core/files/json-file.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';

/** An unfinished download that nobody has resumed for this long is removed. */
const STALE_PART_MS = 7 * 24 * 3600 * 1000;

/** Whether a download failed in a way that makes it worth resuming; after any other failure its bytes are wrong or in the way. */
export function isBrokenOff(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true || (error instanceof EngineError && error.code === 'remote.unreachable');
}

/** Unfinished files: an image, `NAME.tmp`, or an atomic write of a file beside one, `NAME.users.4711abcd.tmp`. */
const UNFINISHED = /^(.+?)(?:\.(?:users|info|hash|metadata|part\.json)\.[0-9a-f]{8})?\.tmp$/;

/**
 * Removes abandoned files from a store: old downloads (`NAME.part`), and whatever a killed process was writing. Takes the lock of each
 * image, `NAME.lock`, so that nothing in use is removed.
 */
export async function removeStaleParts(store: string): Promise<void> {
  const names = await readdir(store, { recursive: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw diskError(error, store);
  });
  for (const name of names) {
    const path = join(store, name);
    const unfinished = UNFINISHED.exec(path)?.[1];
    if (unfinished !== undefined) await removeUnlessHeld(unfinished, [path]);
    else if (name.endsWith('.part') && (await isStale(path)))
      await removeUnlessHeld(path.slice(0, -'.part'.length), [path, `${path}.json`]);
  }
}

async function isStale(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && Date.now() - found.mtimeMs >= STALE_PART_MS;
}

async function removeUnlessHeld(image: string, paths: readonly string[]): Promise<void> {
  try {
    await using _lock = await takeLock(`${image}.lock`, { purpose: 'removal of what is left of a download' });
    for (const path of paths) await rm(path, { force: true });
  } catch (error) {
    if (!isTaken(error)) throw error;
  }
}

/** A URL's partial download in a store, locked until disposed; undefined when another process holds it or it cannot be kept. */
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

/** Another process holds it, or it belongs to another user. */
function isTaken(error: unknown): boolean {
  return error instanceof EngineError && (error.code === 'conflict.locked' || error.code === 'host.denied');
}
