import type { ReactElement, ReactNode } from 'react';
import styles from './empty.module.css';
import type { Icon } from './state-mark.tsx';

/** An empty view: what belongs here in one sentence, and the one thing to do. */
export function Empty(props: {
  readonly icon: Icon;
  readonly title: string;
  readonly body?: ReactNode;
  readonly children?: ReactNode;
  readonly compact?: boolean;
}): ReactElement {
  const { icon: Symbol } = props;
  return (
    <div className={styles.empty} data-compact={props.compact === true}>
      <Symbol size={props.compact === true ? 24 : 40} stroke={1.2} className={styles.icon ?? ''} />
      <h2>{props.title}</h2>
      {props.body !== undefined && <p className={styles.body}>{props.body}</p>}
      {props.children !== undefined && <div className={styles.actions}>{props.children}</div>}
    </div>
  );
}
