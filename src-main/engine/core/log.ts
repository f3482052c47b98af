/** Log of the engine. Never `console`: the front doors decide where it goes. */
export interface Log {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
  /** A log whose lines carry `scope` (a VM, a network, a host) before the message. */
  child(scope: string): Log;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A log that passes every line to `sink`. */
export function createLog(sink: (level: LogLevel, message: string) => void, scope = ''): Log {
  const prefix = scope === '' ? '' : `${scope}: `;
  return {
    debug: (message) => sink('debug', prefix + message),
    info: (message) => sink('info', prefix + message),
    warn: (message) => sink('warn', prefix + message),
    error: (message) => sink('error', prefix + message),
    child: (inner) => createLog(sink, prefix + inner),
  };
}

/** Discards everything; for callers without a log. */
export const silentLog: Log = createLog(() => undefined);

/** Marks deliberate fire-and-forget: a rejection is logged, never unhandled. */
export function drop(promise: Promise<unknown>, log: Log, what: string): void {
  promise.catch((error: unknown) => log.warn(`${what}: ${error instanceof Error ? error.message : String(error)}`));
}
