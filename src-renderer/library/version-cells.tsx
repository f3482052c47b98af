import type { ReactElement } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import { UserLinks } from '../environments/user-links.tsx';
import { formatAgo, formatDate } from '../format.ts';
import table from '../ui/table.module.css';
import type { TemplateSummary } from './catalogue.ts';
import styles from './catalogue-table.module.css';

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
        <UserLinks users={facts.usedBy} />
      </td>
    </>
  );
}
