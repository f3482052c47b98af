import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Log } from '../engine/index.ts';

const MAX_BYTES = 1024 * 1024;

/**
 * A log that appends to `file`. On opening, a file larger than 1 MiB is renamed to `FILE.1`, replacing the previous one. Warnings and
 * errors also go to stderr, for whoever started the window from a terminal.
 */
export function openFileLog(file: string): Log {
  mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > MAX_BYTES) renameSync(file, `${file}.1`);

  function write(level: string, message: string): void {
    const line = `${new Date().toISOString()} ${level} ${message}\n`;
    appendFileSync(file, line, { mode: 0o600 });
    if (level === 'warn' || level === 'error') process.stderr.write(line);
  }

  function scoped(prefix: string): Log {
    return {
      debug: (message) => write('debug', prefix + message),
      info: (message) => write('info', prefix + message),
      warn: (message) => write('warn', prefix + message),
      error: (message) => write('error', prefix + message),
      child: (scope) => scoped(`${prefix}${scope}: `),
    };
  }
  return scoped('');
}
