import { type Dispatch, useEffect } from 'react';
import type { PrefixState } from '../../src-shared/state.ts';
import { isRunning, useOperations, usePrefixes } from '../live-cache.ts';
import type { Forking, WindowAction } from '../window-state.ts';

/** Gives environments that were forked, or resumed from a folder, in this window their tabs once they are there. */
export function useForkTabs(forking: readonly Forking[], dispatch: Dispatch<WindowAction>): void {
  const prefixes = usePrefixes();
  const operations = useOperations();
  useEffect(() => {
    for (const { operation: id, from, names } of forking) {
      const operation = operations.find((one) => one.id === id);
      if (operation === undefined || isRunning(operation)) continue;
      const isMade = (one: PrefixState, name: string): boolean =>
        from === null ? one.id === operation.prefix : one.name === name && one.forkedFrom?.id === from;
      const made = names.flatMap((name) => prefixes?.filter((one) => isMade(one, name)) ?? []);
      const succeeded = operation.status === 'succeeded';
      // Their states may come after the end of the operation.
      if (succeeded && made.length < names.length) continue;
      dispatch({ type: 'forked', operation: id, ids: succeeded ? made.map((one) => one.id) : [] });
    }
  }, [forking, operations, prefixes, dispatch]);
}
