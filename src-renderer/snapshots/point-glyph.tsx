import { IconPinFilled } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { damageOf } from './point-facts.ts';
import styles from './point-glyph.module.css';

/** What the mark of a snapshot depends on. */
type Marked = Pick<SnapshotState, 'vms' | 'kind' | 'missing' | 'changed' | 'pinned' | 'automatic'>;

/** The mark of a snapshot: filled with memory, a ring of disks only, crossed out where files are missing or not what they were, square inside the disks’ files. */
export function PointGlyph(props: { readonly snapshot: Marked; readonly small?: boolean }): ReactElement {
  const { snapshot } = props;
  const memory = Object.values(snapshot.vms).includes('memory');
  const radius = props.small === true ? 5 : snapshot.automatic ? 5.5 : 7;
  const inner = radius - 3;
  const damaged = damageOf(snapshot) !== undefined;
  return (
    <svg width={22} height={22} viewBox="-11 -11 22 22" aria-hidden="true" data-damaged={damaged} className={styles.glyph}>
      {snapshot.kind === 'layers' ? (
        <circle r={radius} className={styles.ring} />
      ) : (
        <rect x={-radius} y={-radius} width={2 * radius} height={2 * radius} rx={2} className={styles.ring} />
      )}
      {damaged ? (
        <path d="M-3 -3L3 3M3 -3L-3 3" className={styles.cross} />
      ) : (
        memory &&
        (snapshot.kind === 'layers' ? (
          <circle r={inner} className={styles.fill} />
        ) : (
          <rect x={-inner} y={-inner} width={2 * inner} height={2 * inner} rx={1} className={styles.fill} />
        ))
      )}
      {snapshot.pinned && <IconPinFilled x={3} y={-13} size={11} className={styles.pin ?? ''} />}
    </svg>
  );
}
