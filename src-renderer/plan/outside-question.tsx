import { Checkbox } from '@mantine/core';
import '@mantine/core/styles/Checkbox.css';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { OutsidePath } from '../../src-shared/plan.ts';
import { count } from '../format.ts';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import styles from './issues.module.css';
import { meaningOf } from './outside.ts';

/** Asks about files outside the init file's folder; nothing is created until the user allows all of them. */
export function OutsideQuestion(props: {
  readonly outside: readonly OutsidePath[];
  readonly allowed: boolean;
  readonly onChange: (allowed: boolean) => void;
}): ReactElement | null {
  if (props.outside.length === 0) return null;
  return (
    <section aria-label="Files outside of the init file’s folder" className={styles.group} data-tone={props.allowed ? 'accent' : 'warn'}>
      <h3>
        <StateMark tone={props.allowed ? 'accent' : 'warn'} icon={IconAlertTriangle}>
          {count(props.outside.length, 'file', 'files')} outside of the init file’s folder
        </StateMark>
      </h3>
      <ul>
        {props.outside.map((file) => (
          <li key={file.path} className={styles.outside}>
            <p className="mono">{file.path}</p>
            <p className="dim">
              {meaningOf(file)}: <code className={styles.path}>{file.key}</code>
            </p>
          </li>
        ))}
      </ul>
      <Checkbox
        size="xs"
        className={styles.question ?? ''}
        label="I trust this init file with these files"
        checked={props.allowed}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
    </section>
  );
}
