import { faultPoint, isDead } from './fault.ts';
import type { Log } from './log.ts';

type Undo = (signal: AbortSignal) => Promise<void> | void;

/**
 * Effects and their undos. Call `add` right after every effect. `commit` forgets the undos once everything succeeded; leaving the scope
 * (`await using`) without it runs them in reverse order. Each gets a fresh signal with a time limit, since the one that cancelled the work
 * is already aborted.
 */
export class UndoStack implements AsyncDisposable {
  #entries: { readonly what: string; readonly undo: Undo; readonly timeoutMs: number }[] = [];
  readonly #log: Log;
  readonly #timeoutMs: number;

  constructor(log: Log, timeoutMs = 60_000) {
    this.#log = log;
    this.#timeoutMs = timeoutMs;
  }

  /**
   * Registers the undo of an effect that has just happened (or is about to, if it can be left half-done). Set `timeoutMs` if it may take
   * longer than most.
   */
  add(what: string, undo: Undo, options: { readonly timeoutMs?: number } = {}): void {
    this.#entries.push({ what, undo, timeoutMs: options.timeoutMs ?? this.#timeoutMs });
    faultPoint('effect', what);
  }

  /** Forgets all undos: the effects stay. */
  commit(): void {
    this.#entries = [];
  }

  /** Undoes everything, last effect first. Never throws; each failure is reported as an error at the end. */
  async unwind(): Promise<void> {
    if (isDead()) return;
    const leaks: string[] = [];
    for (let entry = this.#entries.pop(); entry !== undefined; entry = this.#entries.pop()) {
      try {
        await entry.undo(AbortSignal.timeout(entry.timeoutMs));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        this.#log.debug(`Undo step failed: ${entry.what}: ${reason}`);
        leaks.push(`Not undone: ${entry.what}. ${reason}`);
      }
    }
    for (const leak of leaks) this.#log.error(leak);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.unwind();
  }
}
