import { IconGitFork } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import styles from './environment-links.module.css';

/** Other environments that this one came from or went on in; each leads to its tab. */
export function EnvironmentLinks(props: {
  readonly label: string;
  readonly environments: readonly { readonly id: string; readonly name: string }[];
  readonly onOpen: (environment: string) => void;
}): ReactElement {
  return (
    <p className={styles.links}>
      <IconGitFork size={14} stroke={1.8} />
      {props.label}
      {props.environments.map(({ id, name }) => (
        <button key={id} type="button" onClick={() => props.onOpen(id)}>
          {name}
        </button>
      ))}
    </p>
  );
}
