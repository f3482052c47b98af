import { useEffect, useState } from 'react';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection } from '../live-cache.ts';
import { type AccessLine, addAccesses } from './access-lines.ts';

export interface Accesses {
  readonly lines: readonly AccessLine[];
  /** Why they cannot be read. */
  readonly problem: string | undefined;
}

const NONE: Accesses = { lines: [], problem: undefined };

/** Who fetched what, kept up to date while the component is mounted. */
export function useAccesses(prefix: string): Accesses {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [read, setRead] = useState(NONE);

  useEffect(() => {
    if (!connected) return undefined;
    const abort = new AbortController();
    void follow();
    return () => abort.abort();

    async function follow(): Promise<void> {
      let lines: readonly AccessLine[] = [];
      setRead(NONE);
      try {
        for await (const accesses of await connection.client.repos.accesses({ prefix }, { signal: abort.signal })) {
          if (abort.signal.aborted) return;
          lines = addAccesses(lines, accesses);
          setRead({ lines, problem: undefined });
        }
      } catch (error) {
        if (!abort.signal.aborted) setRead({ lines, problem: readError(error).message });
      }
    }
  }, [connection, connected, prefix]);
  return read;
}
