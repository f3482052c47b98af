import { type ReactElement, useEffect, useRef, useState } from 'react';
import { isRunning, useOperations } from '../live-cache.ts';

const RESULTS = { succeeded: 'done', failed: 'failed', cancelled: 'cancelled' } as const;

/** Announces the outcome of tasks to assistive technology, and calls `onFailed` when one failed. */
export function Announcer(props: { readonly onFailed: () => void }): ReactElement {
  const operations = useOperations();
  const [message, setMessage] = useState('');
  const running = useRef<ReadonlySet<string>>(new Set());
  const { onFailed } = props;
  useEffect(() => {
    for (const operation of operations) {
      if (!running.current.has(operation.id) || isRunning(operation)) continue;
      const { status } = operation;
      if (status === 'succeeded' || status === 'failed' || status === 'cancelled') {
        const cause = operation.error !== undefined && status === 'failed' ? `: ${operation.error.message}` : '';
        setMessage(`${operation.label} ${RESULTS[status]}${cause}`);
        if (status === 'failed') onFailed();
      }
    }
    running.current = new Set(operations.filter(isRunning).map((operation) => operation.id));
  }, [operations, onFailed]);
  return (
    <div className="hidden-visually" role="status" aria-live="polite" aria-label="Task results" data-testid="task-result">
      {message}
    </div>
  );
}
