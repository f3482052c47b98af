import { IconArticle } from '@tabler/icons-react';
import { type ReactElement, useDeferredValue, useState } from 'react';
import { useOperations } from '../live-cache.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { useFollowEnd } from '../ui/hooks/use-follow-end.ts';
import styles from './log-view.module.css';
import { useOperationLogs } from './use-operation-logs.ts';

/** The log lines of all listed tasks, in the tasks' order, with a filter. Follows the end while scrolled to it. */
export function LogView(): ReactElement {
  const operations = useOperations();
  const logs = useDeferredValue(useOperationLogs(operations.map((operation) => operation.id)));
  const [filter, setFilter] = useState('');
  const followEnd = useFollowEnd();
  const wanted = filter.toLowerCase();
  const parts = operations
    .map((operation) => ({
      operation,
      lines: (logs.get(operation.id) ?? []).filter((line) => wanted === '' || line.toLowerCase().includes(wanted)),
    }))
    .filter((part) => part.lines.length > 0);

  if (operations.every((operation) => operation.logLines === 0))
    return <Empty compact icon={IconArticle} title="Nothing logged" body="What tasks write appears here." />;
  return (
    <div className={styles.view}>
      <div className={styles.tools}>
        <input
          type="search"
          className={styles.filter}
          placeholder="Filter"
          aria-label="Filter the log"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
        />
      </div>
      <div {...followEnd} className={styles.lines} role="log" aria-label="Log" tabIndex={0}>
        {parts.map(({ operation, lines }) => (
          <div key={operation.id} className={styles.part}>
            <div className={styles.title}>{operation.label}</div>
            <pre>{lines.join('\n')}</pre>
          </div>
        ))}
        {parts.length === 0 && wanted !== '' && <p className="faint">No line contains “{filter}”.</p>}
      </div>
    </div>
  );
}
