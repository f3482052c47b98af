import type { ComponentType, ReactElement, ReactNode } from 'react';
import styles from './state-mark.module.css';

/** What a state's colour means. Colour never stands alone: every mark has an icon and a word or an accessible name. */
export type Tone = 'ok' | 'busy' | 'warn' | 'bad' | 'off' | 'accent';

export type Icon = ComponentType<{ size?: number | string; stroke?: number | string; className?: string }>;

/** A state as icon and word. */
export function StateMark(props: {
  readonly tone: Tone;
  readonly icon: Icon;
  readonly children: ReactNode;
  readonly spin?: boolean;
}): ReactElement {
  const { icon: Symbol, tone } = props;
  return (
    <span className={styles.mark} data-tone={tone}>
      <Symbol size={14} stroke={2} {...(props.spin === true ? { className: styles.spin ?? '' } : {})} />
      <span className={styles.word}>{props.children}</span>
    </span>
  );
}

/** A state as an icon only, with its word for assistive technology and the pointer. */
export function StateIcon(props: {
  readonly tone: Tone;
  readonly icon: Icon;
  readonly label: string;
  readonly spin?: boolean;
  readonly size?: number;
}): ReactElement {
  const { icon: Symbol, tone, label } = props;
  return (
    <span className={styles.mark} data-tone={tone} role="img" aria-label={label} title={label}>
      <Symbol size={props.size ?? 14} stroke={2} {...(props.spin === true ? { className: styles.spin ?? '' } : {})} />
    </span>
  );
}
