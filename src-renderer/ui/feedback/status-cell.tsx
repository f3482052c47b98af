import type { ReactElement } from 'react';
import { formatFraction } from '../../format.ts';
import { ProgressBar } from './progress-bar.tsx';
import { type Icon, StateMark, type Tone } from './state-mark.tsx';
import styles from './status-cell.module.css';

/** The status of a row: a word, a second line, and the progress of what works on it. */
export interface RowStatus {
  readonly tone: Tone;
  readonly icon: Icon;
  readonly word: string;
  readonly spin?: boolean;
  readonly detail: string;
  /** 0..1 while something works on it. */
  readonly fraction?: number;
}

/** Status word, progress bar while an operation runs, and a second line; the row's height never changes. */
export function StatusCell(props: {
  readonly status: RowStatus;
  readonly what: string;
  readonly className?: string | undefined;
  /** What clicking a failure shows, for its tooltip. */
  readonly failureShows: string;
  readonly onFailure: () => void;
}): ReactElement {
  const { status, what, className } = props;
  return (
    <td className={className}>
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
          title={`${status.detail}\n${props.failureShows}`}
          tabIndex={-1}
          onClick={(event) => {
            event.stopPropagation();
            props.onFailure();
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
