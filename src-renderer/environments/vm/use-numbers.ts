import { useEffect, useState } from 'react';
import { useEngine } from '../../engine-context.ts';
import { useConnection } from '../../live-cache.ts';
import { usePageVisible } from '../../ui/hooks/use-page-visible.ts';
import { createNumbersStore, type NumbersFeed } from './numbers-feed.ts';

/** What an environment's VMs use, read while `wanted` and the window can be seen. */
export function useNumbers(prefix: string, wanted: boolean): NumbersFeed {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const visible = usePageVisible();
  const [store] = useState(createNumbersStore);
  const reading = connected && visible && wanted;

  useEffect(() => {
    if (!reading) return undefined;
    const abort = new AbortController();
    void read();
    return () => {
      abort.abort();
      store.put({ vms: [] });
    };

    async function read(): Promise<void> {
      try {
        for await (const numbers of await connection.client.prefix.numbers({ prefix }, { signal: abort.signal })) {
          if (abort.signal.aborted) return;
          store.put(numbers);
        }
      } catch {
        // The engine reports its own failures; what ends the call is the loss of the connection or of the environment, which the page says.
        if (!abort.signal.aborted) store.put({ vms: [] });
      }
    }
  }, [connection, prefix, reading, store]);
  return store;
}
