import { Button } from '@mantine/core';
import { IconAlertCircle, IconX } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import type { WireError } from '../../../src-shared/errors.ts';
import { copyText } from '../copy-text.ts';
import { Disclosure } from '../disclosure.tsx';
import styles from './error-notice.module.css';
import { IconButton } from './tip.tsx';

/** A report for a bug tracker; contains nothing that the page does not show. */
export function errorReport(error: WireError, subject?: string): string {
  const details = Object.entries(error.details).map(([key, value]) => `${key}: ${String(value)}`);
  return [subject, `${error.message} [${error.code}]`, error.hint, ...details]
    .filter((line) => line !== undefined && line !== '')
    .join('\n');
}

interface ErrorNoticeProps {
  readonly error: WireError;
  /** What failed, such as "Could not start demo". */
  readonly title?: string | undefined;
  readonly onRetry?: (() => void) | undefined;
  readonly onDismiss?: (() => void) | undefined;
}

/** An error with cause, next step, collapsed details, and a report to copy. */
export function ErrorNotice(props: ErrorNoticeProps): ReactElement {
  const { error, title } = props;
  const [copied, setCopied] = useState(false);
  const details = Object.entries(error.details);
  return (
    <div className={styles.notice} role="alert">
      <IconAlertCircle size={16} stroke={1.8} className={styles.icon} />
      <div className={styles.body}>
        {title !== undefined && <p className={styles.title}>{title}</p>}
        <p className={styles.message}>{error.message}</p>
        {error.hint !== undefined && <p className={styles.hint}>{error.hint}</p>}
        <Disclosure summary="Details" className={styles.details}>
          <dl>
            <dt>code</dt>
            <dd>{error.code}</dd>
            {details.map(([key, value]) => (
              <div key={key} className={styles.pair}>
                <dt>{key}</dt>
                <dd>{String(value)}</dd>
              </div>
            ))}
          </dl>
        </Disclosure>
        <div className={styles.actions}>
          {props.onRetry !== undefined && (
            <Button size="compact-xs" onClick={props.onRetry}>
              Try again
            </Button>
          )}
          <Button size="compact-xs" variant="subtle" color="gray" onClick={() => void copyText(errorReport(error, title)).then(setCopied)}>
            {copied ? 'Report copied' : 'Copy report'}
          </Button>
        </div>
      </div>
      {props.onDismiss !== undefined && <IconButton label="Dismiss" icon={IconX} onClick={props.onDismiss} />}
    </div>
  );
}
