import { Button, Checkbox, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { PrefixState } from '../../src-shared/state.ts';
import type { SnapshotState } from '../../src-shared/timeline.ts';
import styles from '../environments/dialogs.module.css';
import { count, formatAgo, formatClock, formatDuration } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { nameProblem } from './snapshot-name.ts';

interface RevertDialogProps {
  readonly prefix: PrefixState;
  readonly snapshot: SnapshotState;
  readonly now: number;
  /** Unused name proposed for a snapshot of the current state. */
  readonly proposed: string;
  readonly onClose: () => void;
  /** `first`: name of a snapshot to take of the current state first; null discards that state. */
  readonly onRevert: (first: string | null) => void;
}

/** Says what a revert discards and offers to keep it. */
export function RevertDialog(props: RevertDialogProps): ReactElement {
  const { prefix, snapshot, now } = props;
  const [keep, setKeep] = useState(true);
  const [first, setFirst] = useState(props.proposed);
  const problem = keep
    ? nameProblem(
        first,
        prefix.snapshots.map((one) => one.name),
      )
    : undefined;
  const vms = Object.entries(snapshot.vms);
  const resumed = vms.filter(([, kind]) => kind === 'memory').map(([vm]) => vm);
  const off = vms.filter(([, kind]) => kind === 'disk').map(([vm]) => vm);
  const verb = `Revert ${count(vms.length, 'VM')}`;
  return (
    <Dialog
      title={`Revert ${prefix.name} to “${snapshot.name}”?`}
      onClose={props.onClose}
      onSubmit={() => problem === undefined && props.onRevert(keep ? first : null)}
      actions={
        <>
          <Button onClick={props.onClose} data-autofocus>
            Cancel
          </Button>
          <Button type="submit" variant="filled" color={keep ? 'accent' : 'red'} disabled={problem !== undefined}>
            {verb}
          </Button>
        </>
      }
    >
      <ul className={styles.lost}>
        <li>
          {keep ? 'Leaves' : 'Loses'} what was done in the VMs since {formatClock(snapshot.createdAt, now)} (
          {formatAgo(snapshot.createdAt, now) === 'just now'
            ? formatDuration(now - snapshot.createdAt)
            : formatAgo(snapshot.createdAt, now)}
          ){keep ? '; the snapshot below keeps it' : ''}
        </li>
        {resumed.length > 0 && (
          <li>
            Go on running from that moment: <span className="mono">{resumed.join(', ')}</span>
          </li>
        )}
        {off.length > 0 && (
          <li>
            Will be off: <span className="mono">{off.join(', ')}</span>
          </li>
        )}
        <li>Open terminals connect again by themselves</li>
      </ul>
      <div className={styles.option}>
        <Checkbox size="xs" label="Snapshot the present first" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
        <TextInput
          aria-label="Name of the snapshot of the present"
          classNames={{ input: 'mono' }}
          value={first}
          disabled={!keep}
          error={problem}
          spellCheck={false}
          autoComplete="off"
          onChange={(event) => setFirst(event.currentTarget.value)}
        />
      </div>
    </Dialog>
  );
}

/** Asks before a snapshot is deleted. */
export function RemoveDialog(props: {
  readonly snapshot: SnapshotState;
  readonly onClose: () => void;
  readonly onRemove: () => void;
}): ReactElement {
  const { snapshot } = props;
  return (
    <Dialog
      title={`Delete the snapshot “${snapshot.name}”?`}
      onClose={props.onClose}
      onSubmit={props.onRemove}
      actions={
        <>
          <Button onClick={props.onClose} data-autofocus>
            Keep it
          </Button>
          <Button type="submit" variant="filled" color="red">
            Delete snapshot
          </Button>
        </>
      }
    >
      <p>You cannot come back to this moment afterwards. The VMs and the other snapshots stay as they are.</p>
    </Dialog>
  );
}
