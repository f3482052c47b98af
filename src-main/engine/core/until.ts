import { setTimeout as delay } from 'node:timers/promises';
import { EngineError } from '../../../src-shared/errors.ts';

/** Waits `ms`; rejects with `cancelled` on abort. */
export async function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  try {
    await delay(ms, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    throw new EngineError('cancelled', 'Cancelled.', { cause: error });
  }
}

export interface UntilOptions {
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** The error on timeout. */
  readonly failure: () => EngineError;
}

/** Calls `probe` until it returns anything but undefined. An error it throws ends the wait. */
export async function until<T>(probe: () => Promise<T | undefined>, options: UntilOptions): Promise<T> {
  const deadline = Date.now() + options.timeoutMs;
  for (;;) {
    options.signal?.throwIfAborted();
    const value = await probe();
    if (value !== undefined) return value;
    if (Date.now() + options.everyMs > deadline) throw options.failure();
    await sleep(options.everyMs, options.signal);
  }
}

/** Runs `work` on every item, at most `limit` at once; results in order. The first failure aborts the others, and is thrown at the end. */
export async function forEachLimit<T, R>(
  items: readonly T[],
  limit: number,
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal, index: number) => Promise<R>,
): Promise<R[]> {
  const stop = new AbortController();
  const inner = signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]);
  const results: R[] = [];
  const failures: unknown[] = [];
  let next = 0;
  async function worker(): Promise<void> {
    while (next < items.length && !inner.aborted) {
      const index = next++;
      try {
        results[index] = await work(items[index] as T, inner, index);
      } catch (error) {
        failures.push(error);
        stop.abort(error);
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
  if (failures.length > 0) throw failures[0];
  signal?.throwIfAborted();
  return results;
}
