import { appendFile } from 'node:fs/promises';
import { createLog, drop, type Log, type LogLevel } from '../core/log.ts';
import type { OperationEvent } from '../core/operation.ts';
import { prefixPaths } from './layout.ts';

/** The prefix's `logs/lago.log`: one clean line per event (`time LEVEL message`), never terminal escapes. */
export interface PrefixLog {
  readonly log: Log;
  event(event: OperationEvent): void;
  /** Flushes the log; later lines are dropped, so that nothing is written into a folder being removed. */
  close(): Promise<void>;
}

const FLUSH_MS = 200;

/**
 * Opens the log of a prefix that may not exist yet (during creation) or any more (after destroy): lines are kept until the folder exists,
 * and dropped if it never does.
 */
export function openPrefixLog(root: string, fallback: Log): PrefixLog {
  const file = prefixPaths(root).log;
  let lines: string[] = [];
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let closed = false;

  /** Serialized, so that lines stay in order. */
  async function flush(last: boolean): Promise<void> {
    const before = writing;
    writing = (async () => {
      await before;
      await write(last);
    })();
    await writing;
  }

  async function write(last: boolean): Promise<void> {
    const text = lines.join('');
    lines = [];
    if (text === '') return;
    try {
      await appendFile(file, text, { mode: 0o644 });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // No folder yet: keep the lines. At the end the prefix may be gone: then nothing is lost.
      if (code === 'ENOENT') {
        if (!last) lines.unshift(text);
      } else fallback.warn(`${file} cannot be written: ${String(error)}`); // must not stop the logged operation
    }
  }

  function add(level: string, message: string): void {
    if (closed) return;
    // biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
    const clean = message.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '').replace(/[\x00-\x08\x0b-\x1f]/g, ' ');
    lines.push(`${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${clean}\n`);
    timer ??= setTimeout(() => {
      timer = undefined;
      drop(flush(false), fallback, file);
    }, FLUSH_MS);
  }

  return {
    log: createLog((level: LogLevel, message) => add(level, message)),
    event(event) {
      if (event.type === 'step-start') add('info', `start ${event.path.join(' / ')}`);
      else if (event.type === 'step-end') {
        const seconds = (event.elapsedMs / 1000).toFixed(2);
        const reason = event.error instanceof Error ? `: ${event.error.message}` : '';
        add(event.status === 'failed' ? 'error' : 'info', `${event.status} ${event.path.join(' / ')} in ${seconds} s${reason}`);
      }
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await flush(true);
    },
  };
}
