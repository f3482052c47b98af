import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';

const UNCLAIMED_MS = 30_000;

/** Byte streams opened by a call and to be attached by a front door, by id. One not attached within 30 s is closed. */
export interface StreamTable {
  add(stream: Duplex, resize?: (columns: number, rows: number) => void): string;
  /** Hands over the stream, once. */
  take(id: string): Duplex | undefined;
  /** Resizes the terminal behind a stream; false when there is none (any more). */
  resize(id: string, columns: number, rows: number): boolean;
  /** Closes all streams. */
  close(): void;
}

export function createStreamTable(): StreamTable {
  const waiting = new Map<string, { readonly stream: Duplex; readonly timer: NodeJS.Timeout }>();
  const live = new Map<string, { readonly stream: Duplex; readonly resize: ((columns: number, rows: number) => void) | undefined }>();
  return {
    add(stream, resize) {
      const id = randomUUID();
      const timer = setTimeout(() => {
        waiting.delete(id);
        stream.destroy();
      }, UNCLAIMED_MS);
      timer.unref();
      waiting.set(id, { stream, timer });
      live.set(id, { stream, resize });
      stream.once('close', () => {
        clearTimeout(timer);
        waiting.delete(id);
        live.delete(id);
      });
      return id;
    },
    take(id) {
      const entry = waiting.get(id);
      if (entry === undefined) return undefined;
      clearTimeout(entry.timer);
      waiting.delete(id);
      return entry.stream;
    },
    resize(id, columns, rows) {
      const entry = live.get(id);
      entry?.resize?.(columns, rows);
      return entry?.resize !== undefined;
    },
    close() {
      for (const { stream } of live.values()) stream.destroy();
    },
  };
}
