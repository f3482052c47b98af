import type { ReactElement } from 'react';
import type { SnapshotState } from '../../src-shared/snapshot/timeline.ts';
import { bytesOf } from './point-facts.ts';
import { PointGlyph } from './point-glyph.tsx';
import styles from './snapshots-view.module.css';

const PLAIN = { vms: { vm: 'memory' }, kind: 'layers', missing: [], pinned: false, automatic: false } as const;

const KEYS: readonly (readonly [readonly string[], string])[] = [
  [['←', '→'], 'move'],
  [['Enter'], 'revert'],
  [['F'], 'fork'],
  [['C'], 'compare'],
  [['P'], 'pin'],
  [['Del'], 'delete'],
  [['N'], 'take'],
  [['+', '−', '0'], 'zoom'],
];

/** What the marks mean, as far as there are any, and which keys act on the selected one. */
export function TimelineLegend(props: { readonly snapshots: readonly SnapshotState[] }): ReactElement {
  const { snapshots } = props;
  const marks = [
    [{ ...PLAIN }, 'with memory', snapshots.some(({ vms }) => Object.values(vms).includes('memory'))],
    [{ ...PLAIN, vms: { vm: 'disk' as const } }, 'disks only', snapshots.some(({ vms }) => !Object.values(vms).includes('memory'))],
    [{ ...PLAIN, automatic: true }, 'automatic', snapshots.some(({ automatic }) => automatic)],
    [{ ...PLAIN, pinned: true }, 'pinned', snapshots.some(({ pinned }) => pinned)],
    [{ ...PLAIN, kind: 'internal' as const }, 'inside the disks’ files', snapshots.some(({ kind }) => kind === 'internal')],
    [{ ...PLAIN, missing: ['vm'] }, 'files missing', snapshots.some(({ missing }) => missing.length > 0)],
    [{ ...PLAIN, missing: ['vm'] }, 'changed by another program', snapshots.some(({ changed = [] }) => changed.length > 0)],
  ] as const;
  return (
    <div className={styles.legend}>
      <p>
        {marks
          .filter(([, , used]) => used)
          .map(([mark, word]) => (
            <span key={word}>
              <PointGlyph snapshot={{ ...mark, missing: [...mark.missing] }} small={word !== 'automatic'} />
              {word}
            </span>
          ))}
        {snapshots.some((snapshot) => bytesOf(snapshot) > 0) && (
          <>
            <span>
              <i className={styles.bar} data-part="memory" />
              size of memory
            </span>
            <span>
              <i className={styles.bar} data-part="disk" />
              of disks
            </span>
          </>
        )}
      </p>
      <p>
        {KEYS.map(([keys, word]) => (
          <span key={word}>
            {keys.map((key) => (
              <kbd key={key}>{key}</kbd>
            ))}
            {word}
          </span>
        ))}
      </p>
    </div>
  );
}
