import { IconCheck, IconCopy } from '@tabler/icons-react';
import { type ReactElement, useEffect, useState } from 'react';
import { copyText } from './copy-text.ts';
import styles from './copyable.module.css';

/** Monospace text that a click copies; confirms briefly in the same place. */
export function Copyable(props: { readonly text: string; readonly what?: string }): ReactElement {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1_200);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button
      type="button"
      className={styles.copyable}
      title={copied ? 'Copied' : 'Copy'}
      aria-label={`Copy ${props.what === undefined ? '' : `${props.what} `}${props.text}`}
      onClick={(event) => {
        event.stopPropagation();
        void copyText(props.text).then(setCopied);
      }}
    >
      <span className={styles.text}>{props.text}</span>
      <span className={styles.icon} data-copied={copied}>
        {copied ? <IconCheck size={12} stroke={2} /> : <IconCopy size={12} stroke={1.6} />}
      </span>
      <span className="hidden-visually" aria-live="polite">
        {copied ? 'Copied' : ''}
      </span>
    </button>
  );
}
