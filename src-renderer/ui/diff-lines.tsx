import type { ReactElement } from 'react';
import type { TextDiff } from '../../src-shared/collection.ts';
import { count } from '../format.ts';
import styles from './diff-lines.module.css';

const PROBLEMS = {
  binary: 'This is not a text file.',
  large: 'The file is too large to be compared by line. Save both and compare them with a program of your own.',
} as const;
const SIGNS = { same: ' ', added: '+', removed: '−', gap: '⋯', note: ' ' } as const;

/** How a text differs: its changed lines with those around them, each with its numbers before and after. Null while it is read. */
export function DiffLines(props: { readonly diff: TextDiff | null; readonly path: string }): ReactElement {
  const { diff, path } = props;
  if (diff === null) return <div aria-busy="true" />;
  if (diff.problem !== null) return <p className="dim">{PROBLEMS[diff.problem]}</p>;
  const shown = diff.lines.filter(({ kind }) => kind === 'added' || kind === 'removed').length;
  return (
    <div className={styles.viewer}>
      <p className="dim">
        {count(diff.added, 'line')} added, {count(diff.removed, 'line')} removed
        {shown < diff.added + diff.removed && `; only the first ${shown} are shown`}
      </p>
      <div className={styles.lines} tabIndex={0} role="region" aria-label={`Changes of ${path}`}>
        {diff.lines.map(({ kind, before: old, after: now, text }, index) => (
          <div key={index} className={styles.line} data-kind={kind}>
            <span className={styles.number} aria-hidden="true">
              {old}
            </span>
            <span className={styles.number} aria-hidden="true">
              {now}
            </span>
            <span className={styles.sign}>{SIGNS[kind]}</span>
            <span className={styles.text}>{text}</span>
          </div>
        ))}
      </div>
    </div>
  );
}
