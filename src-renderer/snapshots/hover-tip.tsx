import type { ReactElement } from 'react';
import type { SnapshotState } from '../../src-shared/timeline.ts';
import { formatAgo } from '../format.ts';
import { Tip } from '../ui/tip.tsx';
import styles from './timeline-view.module.css';

/** What a snapshot contains, per VM. */
export function HoverTip(props: {
  readonly snapshot: SnapshotState;
  readonly now: number;
  readonly children: ReactElement<object>;
}): ReactElement {
  const { snapshot } = props;
  return (
    <Tip
      label={
        <div className={styles.tip}>
          <strong>{snapshot.name}</strong> <span>{formatAgo(snapshot.createdAt, props.now)}</span>
          <ul>
            {Object.entries(snapshot.vms).map(([vm, kind]) => (
              <li key={vm}>
                <code>{vm}</code> {kind === 'memory' ? 'memory and disks' : 'disks only'}
              </li>
            ))}
          </ul>
        </div>
      }
    >
      {props.children}
    </Tip>
  );
}
