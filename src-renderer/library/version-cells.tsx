import type { ReactElement } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { TemplateVersionState } from '../../src-shared/state.ts';
import { formatAgo, formatDate, formatFraction } from '../format.ts';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import table from '../ui/table.module.css';
import { useWindow } from '../window-state.ts';
import type { TemplateSummary } from './catalogue.ts';
import styles from './catalogue-table.module.css';
import { useOpenUser } from './use-version-actions.tsx';
import type { VersionStatus } from './version-status.ts';

/** Status word, progress bar while an operation runs, and a second line; the row's height never changes. */
export function StatusCell(props: { readonly status: VersionStatus; readonly what: string }): ReactElement {
  const { status, what } = props;
  const { dispatch } = useWindow();
  return (
    <td className={styles.state}>
      <div className={styles.stateLine} data-working={status.fraction !== undefined}>
        <StateMark tone={status.tone} icon={status.icon} spin={status.spin === true}>
          {status.word}
        </StateMark>
        {status.fraction !== undefined && (
          <>
            <span className={styles.bar}>
              <ProgressBar
                fraction={status.fraction}
                label={`${status.word} ${what}`}
                tone={status.word === 'paused' ? 'warn' : 'accent'}
              />
            </span>
            <span className={styles.percent}>{formatFraction(status.fraction)}</span>
          </>
        )}
      </div>
      {status.tone === 'bad' ? (
        <button
          type="button"
          className={styles.failure}
          title={`${status.detail}\nClick to show the task.`}
          tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            dispatch({ type: 'dock', open: true, view: 'tasks' });
          }}
        >
          {status.detail}
        </button>
      ) : (
        (status.detail !== '' || status.fraction !== undefined) && (
          <span className={styles.detail} title={status.detail}>
            {status.detail}
          </span>
        )
      )}
    </td>
  );
}

function Users(props: { readonly users: TemplateVersionState['usedBy'] }): ReactElement {
  const openUser = useOpenUser();
  const { users } = props;
  if (users.length === 0) return <span className="faint">–</span>;
  return (
    <span className={styles.users}>
      {users.slice(0, 2).map((user) => (
        <button
          key={user.path}
          type="button"
          className={styles.user}
          title={`Show the environment ${user.path}`}
          onClick={(event) => {
            event.stopPropagation();
            openUser(user);
          }}
        >
          {user.name}
        </button>
      ))}
      {users.length > 2 && (
        <span className="faint" title={users.map((user) => user.name).join('\n')}>
          and {users.length - 2} more
        </span>
      )}
    </span>
  );
}

/** Size, times and users, of a version or of a template with all its versions. */
export function FactCells(props: { readonly facts: Omit<TemplateSummary, 'stored'>; readonly now: number }): ReactElement {
  const { facts, now } = props;
  return (
    <>
      <td className={table.number}>{facts.size === null ? <span className="faint">–</span> : formatBytes(facts.size)}</td>
      <td className={styles.published}>{facts.publishedAt === null ? <span className="faint">–</span> : formatDate(facts.publishedAt)}</td>
      <td className={styles.used} title={facts.usedAt === null ? undefined : new Date(facts.usedAt).toLocaleString()}>
        {facts.usedAt === null ? <span className="faint">–</span> : formatAgo(facts.usedAt, now)}
      </td>
      <td className={styles.usedBy}>
        <Users users={facts.usedBy} />
      </td>
    </>
  );
}
