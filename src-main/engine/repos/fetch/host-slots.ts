/** Limits how many requests one server has at once, across all repositories that a process synchronises. */
export interface HostSlots {
  /** Waits for a free place at the server; call the returned function when the answer was read. Rejects with the reason of an abort. */
  take(host: string, limit: number, signal?: AbortSignal): Promise<() => void>;
}

interface Host {
  taken: number;
  readonly waiting: (() => void)[];
}

export function createHostSlots(): HostSlots {
  const hosts = new Map<string, Host>();

  function release(host: Host): void {
    host.taken -= 1;
    host.waiting.shift()?.();
  }

  async function free(host: Host, signal: AbortSignal | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const wake = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        host.waiting.splice(host.waiting.indexOf(wake), 1);
        reject(signal?.reason as Error);
      };
      host.waiting.push(wake);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  return {
    async take(name, limit, signal) {
      const host = hosts.get(name) ?? { taken: 0, waiting: [] };
      hosts.set(name, host);
      signal?.throwIfAborted();
      while (host.taken >= limit) await free(host, signal);
      host.taken += 1;
      let held = true;
      return () => {
        if (held) release(host);
        held = false;
      };
    },
  };
}
