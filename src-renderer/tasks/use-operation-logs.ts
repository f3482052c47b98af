import { useEffect, useState } from 'react';
import { OPERATION_LOG_LINES } from '../../src-shared/operation.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { useConnection } from '../live-cache.ts';

/** Log lines by operation id, kept up to date while the component is mounted. Empty until the engine has sent them. */
export function useOperationLogs(ids: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [logs, setLogs] = useState<ReadonlyMap<string, readonly string[]>>(new Map());
  const key = ids.join(' ');

  useEffect(() => {
    if (!connected || key === '') return undefined;
    const abort = new AbortController();
    for (const id of key.split(' ')) void follow(id);
    return () => abort.abort();

    async function follow(operation: string): Promise<void> {
      let whole: readonly string[] = [];
      try {
        for await (const lines of await connection.client.operation.log({ operation }, { signal: abort.signal })) {
          whole = [...whole, ...lines].slice(-OPERATION_LOG_LINES);
          setLogs((known) => new Map(known).set(operation, whole));
        }
      } catch (error) {
        if (abort.signal.aborted) return;
        const lines = [...whole, `The log cannot be read: ${readError(error).message}`];
        setLogs((known) => new Map(known).set(operation, lines));
      }
    }
  }, [connection, connected, key]);
  return logs;
}
