import type { ReactElement } from 'react';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import { dots, formatAgo } from '../../format.ts';
import { Tip } from '../../ui/feedback/tip.tsx';
import { damageOfVm, measuredSentence } from '../point-facts.ts';
import styles from './point-tip.module.css';

const SHOWN = 6;

function contentOfVm(snapshot: SnapshotState, vm: string): string {
  const damage = damageOfVm(snapshot, vm);
  if (damage !== undefined) return damage;
  const size = snapshot.sizes[vm];
  const memory = snapshot.vms[vm] === 'memory';
  if (size === undefined) return memory ? 'memory and disks' : 'disks only';
  return dots(memory && `${formatBytes(size.memory)} memory`, `${formatBytes(size.disk)} disks`);
}

/** What a snapshot contains, per VM, on hover. */
export function PointTip(props: {
  readonly snapshot: SnapshotState;
  readonly now: number;
  readonly children: ReactElement<object>;
}): ReactElement {
  const { snapshot } = props;
  const vms = Object.keys(snapshot.vms);
  return (
    <Tip
      label={
        <div className={styles.tip}>
          <p>
            <strong>{snapshot.name}</strong> <span>{dots(formatAgo(snapshot.createdAt, props.now), ...snapshot.tags)}</span>
          </p>
          {snapshot.note !== '' && <p className={styles.note}>{snapshot.note}</p>}
          <ul>
            {vms.slice(0, SHOWN).map((vm) => (
              <li key={vm}>
                <code>{vm}</code> {contentOfVm(snapshot, vm)}
              </li>
            ))}
            {vms.length > SHOWN && <li>and {vms.length - SHOWN} more</li>}
          </ul>
          {snapshot.measured !== null && <p>{measuredSentence(snapshot)}</p>}
        </div>
      }
    >
      {props.children}
    </Tip>
  );
}
