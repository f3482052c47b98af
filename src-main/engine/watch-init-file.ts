import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { EngineError } from '../../src-shared/errors.ts';
import { sleep } from './core/until.ts';
import { findInitFile } from './plan/find-init-file.ts';

/** Editors write in several steps: changes within this time count as one. */
const SETTLE_MS = 60;

/**
 * Yields once when it has begun to watch, then each time the init file of `path` (as found by `findInitFile`) is saved, replaced, removed
 * or created again. Ends on abort; throws `not-available` when the system refuses to watch its folder.
 */
export async function* watchInitFile(path: string, signal: AbortSignal): AsyncGenerator<Record<string, never>> {
  // The reader reports why a folder has no init file; until it has one, any change may add it.
  const file = await findInitFile(resolve(path)).catch(() => undefined);
  const look = async (): Promise<string | undefined> => (file === undefined ? undefined : await fingerprint(file));
  const folder = file === undefined ? resolve(path) : dirname(file);
  let pending = false;
  let failed: EngineError | undefined;
  let wake: () => void = () => undefined;
  const watcher = openWatcher(folder, (name) => {
    if (file !== undefined && name !== null && name !== basename(file)) return;
    pending = true;
    wake();
  });
  const onAbort = (): void => wake();
  watcher.on('error', (error) => {
    failed = refused(folder, error);
    wake();
  });
  signal.addEventListener('abort', onAbort);
  try {
    let seen = await look();
    yield {};
    while (!signal.aborted) {
      if (failed !== undefined) throw failed;
      if (!pending) {
        await new Promise<void>((resume) => {
          wake = resume;
        });
        continue;
      }
      await sleep(SETTLE_MS);
      pending = false;
      const now = await look();
      if (now !== undefined && now === seen) continue;
      seen = now;
      yield {};
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
    watcher.close();
  }
}

function openWatcher(folder: string, onChange: (name: string | null) => void): FSWatcher {
  try {
    return watch(folder, (_event, name) => onChange(name));
  } catch (error) {
    throw refused(folder, error);
  }
}

function refused(folder: string, error: unknown): EngineError {
  return new EngineError('not-available', `${folder} cannot be watched: ${error instanceof Error ? error.message : String(error)}`, {
    hint: 'Press Reload after saving the file.',
    cause: error,
  });
}

/** Identifies a file's state: when it changes, the content may have changed. */
async function fingerprint(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(file);
    return `${ino}:${size}:${mtimeMs}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
