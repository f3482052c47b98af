import { IconChevronRight } from '@tabler/icons-react';
import type { ReactElement, ReactNode } from 'react';
import styles from './disclosure.module.css';

/** A line that unfolds to more. `className` is for what it unfolds to. */
export function Disclosure(props: {
  readonly summary: ReactNode;
  readonly className?: string | undefined;
  /** Whether it is unfolded at first. */
  readonly open?: boolean;
  readonly onToggle?: (open: boolean) => void;
  readonly children: ReactNode;
}): ReactElement {
  return (
    <details
      className={`${styles.disclosure} ${props.className ?? ''}`}
      open={props.open}
      onToggle={(event) => props.onToggle?.(event.currentTarget.open)}
    >
      <summary>
        <IconChevronRight size={12} stroke={2} />
        {props.summary}
      </summary>
      {props.children}
    </details>
  );
}
