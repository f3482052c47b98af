import type { ReactElement } from 'react';
import type { Notice } from '../engine-context.ts';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { ResultNotice } from '../ui/feedback/result-notice.tsx';
import styles from './notices.module.css';

/** Failed clicks and results of tasks, shown over the lower right of the page until they are dismissed. */
export function Notices(props: { readonly notices: readonly Notice[]; readonly onDismiss: (id: number) => void }): ReactElement {
  return (
    <div className={styles.notices} role="region" aria-label="Notices">
      {props.notices.map((notice) => (
        <div key={notice.id} className={styles.notice}>
          {'error' in notice ? (
            <ErrorNotice title={notice.title} error={notice.error} onDismiss={() => props.onDismiss(notice.id)} />
          ) : (
            <ResultNotice title={notice.title} message={notice.message} path={notice.path} onDismiss={() => props.onDismiss(notice.id)} />
          )}
        </div>
      ))}
    </div>
  );
}
