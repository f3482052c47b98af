import { Button, SegmentedControl } from '@mantine/core';
import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';
import { IconAlertTriangle } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { LibraryState, TemplateState, TemplateVersionState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { count, dots, formatAgo } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { evictable, isFetchable } from './catalogue.ts';
import styles from './dialogs.module.css';

function Lost(props: { readonly children: string }): ReactElement {
  return (
    <p className={styles.lost}>
      <IconAlertTriangle size={16} stroke={1.8} />
      {props.children}
    </p>
  );
}

/** Asks before one image is removed from the store. */
export function EvictDialog(props: {
  readonly template: TemplateState;
  readonly version: TemplateVersionState;
  readonly onClose: () => void;
}): ReactElement {
  const { template, version, onClose } = props;
  const call = useCall();
  const size = formatBytes(version.size ?? 0);
  function evict(): void {
    onClose();
    void call(`Could not evict ${version.fullName}`, (client) => client.library.evict({ template: version.fullName }));
  }
  return (
    <Dialog
      title={`Evict ${template.title} ${version.version}?`}
      onClose={onClose}
      onSubmit={evict}
      actions={
        <>
          <Button onClick={onClose} data-autofocus>
            Keep it
          </Button>
          <Button type="submit" variant="filled" color="red">
            Evict, free {size}
          </Button>
        </>
      }
    >
      <p>
        Its image is removed from the store, which frees {size}. No environment uses it.
        {isFetchable(template, version) && ' It is downloaded again when one needs it.'}
      </p>
      {!isFetchable(template, version) && <Lost>No repository has this image any more: it cannot be downloaded again.</Lost>}
    </Dialog>
  );
}

const AGES = [
  { value: '0', label: 'Any time' },
  { value: '7', label: '1 week' },
  { value: '30', label: '1 month' },
  { value: '90', label: '3 months' },
] as const;

/** Lists the unused images that would be evicted, for a chosen minimum age. */
export function EvictUnusedDialog(props: { readonly library: LibraryState; readonly onClose: () => void }): ReactElement {
  const { library, onClose } = props;
  const call = useCall();
  const [age, setAge] = useState('0');
  const [now] = useState(() => Date.now());
  const days = Number(age);
  const gone = evictable(library.templates, days, now);
  const bytes = gone.reduce((sum, one) => sum + one.size, 0);
  const lost = gone.filter((one) => one.lost).length;
  function evict(): void {
    if (gone.length === 0) return;
    onClose();
    void call('Could not evict unused images', (client) => client.library.evictUnused({ olderThanDays: days }));
  }
  return (
    <Dialog
      title="Evict unused images"
      width={540}
      onClose={onClose}
      onSubmit={evict}
      actions={
        <>
          <Button onClick={onClose} data-autofocus>
            Keep them
          </Button>
          <Button type="submit" variant="filled" color="red" disabled={gone.length === 0}>
            {gone.length === 0 ? 'Nothing to evict' : `Evict ${count(gone.length, 'image')}, free ${formatBytes(bytes)}`}
          </Button>
        </>
      }
    >
      <div className={styles.age}>
        <span id="evict-age">Not used for</span>
        <SegmentedControl size="xs" aria-labelledby="evict-age" value={age} onChange={setAge} data={[...AGES]} transitionDuration={100} />
      </div>
      <div className={styles.list} role="group" aria-label="What goes" tabIndex={0}>
        {gone.length === 0 ? (
          <p className={styles.none}>
            {days === 0 ? 'Every image in the store is used by an environment.' : 'No unused image is that old.'}
          </p>
        ) : (
          <ul>
            {gone.map((one) => (
              <li key={one.fullName} className={styles.row}>
                <span className={styles.what}>
                  <span className="ellipsis">
                    {one.title} <span className="mono">{one.version}</span>
                  </span>
                  <span>
                    {dots(one.usedAt === null ? null : `used ${formatAgo(one.usedAt, now)}`, one.lost && 'no repository has it any more')}
                  </span>
                </span>
                <span className="nowrap">{formatBytes(one.size)}</span>
              </li>
            ))}
          </ul>
        )}
      </div>
      <p className={`${styles.total} dim`}>Images that environments use stay. Evicted images are downloaded again when they are needed.</p>
      {lost > 0 && (
        <Lost>{`${lost === 1 ? 'One of them' : `${lost} of them`} cannot be downloaded again: no repository has it any more.`}</Lost>
      )}
    </Dialog>
  );
}
