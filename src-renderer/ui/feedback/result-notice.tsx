import { Button } from '@mantine/core';
import { IconCircleCheck, IconX } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { copyText } from '../copy-text.ts';
import styles from './error-notice.module.css';
import { IconButton } from './tip.tsx';

/** What a task has created, with its path to copy. */
export function ResultNotice(props: {
  readonly title: string;
  readonly message: string;
  readonly path: string;
  readonly onDismiss: () => void;
}): ReactElement {
  const [copied, setCopied] = useState(false);
  return (
    <div className={styles.notice} data-tone="ok">
      <IconCircleCheck size={16} stroke={1.8} className={styles.icon} />
      <div className={styles.body}>
        <p className={styles.title}>{props.title}</p>
        <p className={`mono ${styles.message}`}>{props.path}</p>
        <p className={styles.hint}>{props.message}</p>
        <div className={styles.actions}>
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void copyText(props.path).then(setCopied)}>
            {copied ? 'Path copied' : 'Copy path'}
          </Button>
        </div>
      </div>
      <IconButton label="Dismiss" icon={IconX} onClick={props.onDismiss} />
    </div>
  );
}
