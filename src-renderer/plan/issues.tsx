import { IconAlertTriangle, IconCircleX, IconInfoCircle } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import { formatIssue, type Issue } from '../../src-shared/issue.ts';
import { baseName, count } from '../format.ts';
import { copyText } from '../ui/copy-text.ts';
import { type Icon, StateMark, type Tone } from '../ui/feedback/state-mark.tsx';
import styles from './issues.module.css';

const GROUPS: readonly {
  readonly severity: Issue['severity'];
  readonly tone: Tone;
  readonly icon: Icon;
  readonly one: string;
  readonly many: string;
}[] = [
  { severity: 'error', tone: 'bad', icon: IconCircleX, one: 'error', many: 'errors' },
  { severity: 'warning', tone: 'warn', icon: IconAlertTriangle, one: 'warning', many: 'warnings' },
  { severity: 'info', tone: 'accent', icon: IconInfoCircle, one: 'note', many: 'notes' },
];

/** The issues of a file, the most severe first, each with its position. */
export function Issues(props: { readonly issues: readonly Issue[] }): ReactElement | null {
  if (props.issues.length === 0) return null;
  return (
    <section aria-label="Issues" className={styles.issues}>
      {GROUPS.map((group) => {
        const issues = props.issues.filter((issue) => issue.severity === group.severity);
        if (issues.length === 0) return null;
        return (
          <div key={group.severity} className={styles.group} data-tone={group.tone}>
            <h2>
              <StateMark tone={group.tone} icon={group.icon}>
                {count(issues.length, group.one, group.many)}
              </StateMark>
            </h2>
            <ul>
              {issues.map((issue) => (
                <li key={`${issue.line}:${issue.column}:${issue.path}:${issue.message}`} className={styles.issue}>
                  <button
                    type="button"
                    className={styles.place}
                    title={`${formatIssue(issue)}\nClick to copy`}
                    aria-label={`Copy issue at ${issue.line > 0 ? `${issue.line}:${issue.column}` : baseName(issue.file)}`}
                    onClick={() => void copyText(formatIssue(issue))}
                  >
                    {issue.line > 0 ? `${issue.line}:${issue.column}` : baseName(issue.file)}
                  </button>
                  <div>
                    <p>
                      {issue.path !== '' && <code className={styles.path}>{issue.path}</code>} {issue.message}
                    </p>
                    {issue.hint !== undefined && <p className="dim">{issue.hint}</p>}
                  </div>
                </li>
              ))}
            </ul>
          </div>
        );
      })}
    </section>
  );
}
