import type { Engine, Log } from '../engine/index.ts';

/** The part of the engine that `RunningOperations` follows. */
export type FollowedEngine = Pick<Engine, 'live'> & { readonly operation: Pick<Engine['operation'], 'get'> };

function isRunning(status: string): boolean {
  return status === 'running' || status === 'cancelling';
}

/**
 * Tracks running operations, to decide whether the window may close. Follows the engine's events until `signal` aborts or the engine
 * ends.
 */
export class RunningOperations {
  readonly #ids = new Set<string>();
  readonly #waiting = new Set<() => void>();
  readonly #engine: FollowedEngine;

  constructor(engine: FollowedEngine) {
    this.#engine = engine;
  }

  get count(): number {
    return this.#ids.size;
  }

  /** Keeps the set up to date; resolves when the engine's events end. */
  async follow(signal: AbortSignal, log: Log): Promise<void> {
    try {
      for await (const event of this.#engine.live(signal)) {
        if (event.type === 'operations') {
          this.#ids.clear();
          for (const operation of event.operations) if (isRunning(operation.status)) this.#ids.add(operation.id);
        } else if (event.type === 'operation') {
          if (isRunning(event.operation.status)) this.#ids.add(event.operation.id);
          else this.#ids.delete(event.operation.id);
        } else if (event.type === 'operation-gone') this.#ids.delete(event.id);
        this.#settle();
      }
    } catch (error) {
      if (!signal.aborted) log.error(`The engine's events ended: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      this.#ids.clear();
      this.#settle();
    }
  }

  /** Resolves when nothing runs any more. */
  async drained(): Promise<void> {
    if (this.#ids.size === 0) return;
    await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Cancels all operations and resolves when they are undone. */
  async cancelAll(): Promise<void> {
    const ends = [...this.#ids].map(async (id) => {
      const operation = this.#engine.operation.get(id);
      operation?.cancel();
      await operation?.done.catch(() => undefined); // the operation's state has the outcome
    });
    await Promise.all(ends);
  }

  #settle(): void {
    if (this.#ids.size > 0) return;
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}
