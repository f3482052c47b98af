import { existsSync, type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';
import { drop, type Log } from '../core/log.ts';

export interface WatchedStateOptions<S> {
  /** For the log: "the template library". */
  readonly what: string;
  readonly log: Log;
  /** The value as it is now. Never rejects: what is wrong is part of the value. */
  read(): Promise<S>;
  /** Called with each changed value. */
  publish(state: S): void;
  /** Folders whose changes change the value, also those that do not exist yet: other processes work there too. */
  foldersOf(state: S): readonly string[];
  /** Whether a change of a file with this name in one of the folders says nothing. */
  ignores(name: string): boolean;
}

/** A value that is read from folders and published whenever it has changed. */
export interface WatchedState extends Disposable {
  /** Publishes the current value, and from now on each change. */
  begin(): Promise<void>;
  /** Schedules a refresh. Does nothing before `begin`. */
  touch(): void;
}

const SETTLE_MS = 200;

/** Reads nothing before `begin`. */
export function watchState<S>(options: WatchedStateOptions<S>): WatchedState {
  const { what, log } = options;
  const watchers = new Map<string, FSWatcher>();
  let timer: NodeJS.Timeout | undefined;
  let published: string | undefined;
  let reading: Promise<void> | undefined;
  let again = false;
  let begun = false;
  let closed = false;

  async function readOnce(): Promise<void> {
    const next = await options.read();
    if (closed) return;
    watchOnly(options.foldersOf(next));
    const text = JSON.stringify(next);
    if (text === published) return;
    published = text;
    options.publish(next);
  }

  /** One refresh at a time, so that an older value never follows a newer one; changes during a refresh cause another one. */
  async function refresh(): Promise<void> {
    again = true;
    reading ??= (async () => {
      try {
        while (again && !closed) {
          again = false;
          await readOnce();
        }
      } finally {
        reading = undefined;
      }
    })();
    await reading;
  }

  function touch(): void {
    if (!begun || closed) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      drop(refresh(), log, `Reading ${what}`);
    }, SETTLE_MS);
    timer.unref();
  }

  function watchOnly(wanted: readonly string[]): void {
    const folders = wanted.map(existingFolder);
    for (const [path, watcher] of watchers) {
      if (folders.includes(path)) continue;
      watcher.close();
      watchers.delete(path);
    }
    for (const path of folders) watchFolder(path);
  }

  function watchFolder(path: string): void {
    if (watchers.has(path)) return;
    try {
      const watcher = watch(path, (_event, name) => {
        if (name === null || !options.ignores(name)) touch();
      });
      watchers.set(path, watcher);
      watcher.unref();
      watcher.on('error', () => {
        watcher.close();
        watchers.delete(path);
        touch();
      });
    } catch (error) {
      log.debug(`${path} cannot be watched: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  return {
    async begin() {
      begun = true;
      await refresh();
    },
    touch,
    [Symbol.dispose]() {
      closed = true;
      clearTimeout(timer);
      for (const watcher of watchers.values()) watcher.close();
    },
  };
}

/** The folder itself, or the one that it will be made in. */
function existingFolder(path: string): string {
  return existsSync(path) || dirname(path) === path ? path : existingFolder(dirname(path));
}
