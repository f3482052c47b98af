/** A pause switch. The worker checks it where pausing does no harm; others pause and resume it. */
export interface PauseGate {
  readonly paused: boolean;
  pause(): void;
  resume(): void;
  /** Resolves at once unless paused, else on resume. Rejects with the signal's reason on abort. */
  passed(signal?: AbortSignal): Promise<void>;
  /** Called at each change with whether it is now paused. Returns the unsubscriber. */
  onChange(listener: (paused: boolean) => void): () => void;
}

/**
 * Runs work that can be interrupted and begun again, such as one attempt to fetch something: a pause aborts its signal, and after the pause
 * it runs once more. `signal` ends it for good.
 */
export async function interruptible<T>(
  gate: PauseGate | undefined,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  if (gate === undefined) return await work(signal);
  for (;;) {
    await gate.passed(signal);
    const pause = new AbortController();
    const unsubscribe = gate.onChange((paused) => paused && pause.abort());
    try {
      return await work(signal === undefined ? pause.signal : AbortSignal.any([signal, pause.signal]));
    } catch (error) {
      if (!pause.signal.aborted || signal?.aborted === true) throw error;
    } finally {
      unsubscribe();
    }
  }
}

export function createPauseGate(): PauseGate {
  const listeners = new Set<(paused: boolean) => void>();
  const waiting = new Set<() => void>();
  let paused = false;

  function set(value: boolean): void {
    if (paused === value) return;
    paused = value;
    for (const listener of listeners) listener(value);
    if (value) return;
    for (const wake of [...waiting]) wake();
  }

  async function resumed(signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        waiting.delete(wake);
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        waiting.delete(wake);
        reject(signal?.reason as Error);
      };
      waiting.add(wake);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  return {
    get paused() {
      return paused;
    },
    pause: () => set(true),
    resume: () => set(false),
    async passed(signal) {
      signal?.throwIfAborted();
      while (paused) await resumed(signal);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}
