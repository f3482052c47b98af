import { useCallback, useEffect, useRef } from 'react';
import type { Result } from '../engine-context.ts';
import { isRunning, useOperations } from '../live-cache.ts';

/** Returns a function that registers an operation's expected result; `onDone` receives it when the operation has succeeded. */
export function useExpectedResults(onDone: (result: Result) => void): (operation: string, result: Result) => void {
  const operations = useOperations();
  const expected = useRef(new Map<string, Result>());
  const latest = useRef(operations);
  const look = useCallback(() => {
    for (const operation of latest.current) {
      const result = expected.current.get(operation.id);
      if (result === undefined || isRunning(operation)) continue;
      expected.current.delete(operation.id);
      if (operation.status === 'succeeded') onDone(result);
    }
  }, [onDone]);
  useEffect(() => {
    latest.current = operations;
    look();
  }, [operations, look]);
  return useCallback(
    (operation, result) => {
      expected.current.set(operation, result);
      // A short operation may have ended before its id is known.
      look();
    },
    [look],
  );
}
