import type { ReactElement } from 'react';
import { formatFraction } from '../../format.ts';
import styles from './progress-bar.module.css';
import type { Tone } from './state-mark.tsx';

/** A thin progress bar, 0..1. */
export function ProgressBar(props: {
  readonly fraction: number;
  readonly label: string;
  readonly tone?: Tone;
  readonly width?: number;
}): ReactElement {
  const percent = Math.floor(Math.min(1, Math.max(0, props.fraction)) * 100);
  return (
    <div
      className={styles.track}
      role="progressbar"
      aria-label={props.label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
      aria-valuetext={formatFraction(props.fraction)}
      data-tone={props.tone ?? 'accent'}
      style={props.width === undefined ? undefined : { width: props.width }}
    >
      <div className={styles.bar} style={{ transform: `scaleX(${percent / 100})` }} />
    </div>
  );
}
