import { Button, Checkbox } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import dialogs from '../../environments/dialogs.module.css';
import { count, formatAgo, formatClock, formatDuration } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorNotice } from '../../ui/feedback/error-notice.tsx';
import { NameField } from '../../ui/name-field.tsx';
import { TableHead } from '../../ui/table-head.tsx';
import { filesProblem } from '../point-facts.ts';
import { nameProblem } from '../snapshot-name.ts';
import { useAsked } from '../use-asked.ts';
import styles from './snapshot-dialogs.module.css';

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

const THEN = { memory: 'goes on from that moment', disk: 'off' } as const;

function ago(time: number, now: number): string {
  const words = formatAgo(time, now);
  return words === 'just now' ? formatDuration(now - time) : words;
}

/** Says what a revert discards, since when and of which VMs, and offers to keep it. */
export function RevertDialog(props: RevertDialogProps): ReactElement {
  const { prefix, snapshot, now } = props;
  const [keep, setKeep] = useState(true);
  const [first, setFirst] = useState(props.proposed);
  const plan = useAsked(snapshot.name, async (client) => await client.snapshot.revertPlan({ prefix: prefix.id, name: snapshot.name }));
  const problem = keep
    ? nameProblem(
        first,
        prefix.snapshots.map((one) => one.name),
      )
    : undefined;
  const damage = filesProblem({ ...snapshot, ...plan.answer });
  const since = plan.answer?.since ?? snapshot.createdAt;
  const vms =
    plan.answer?.vms ??
    Object.entries(snapshot.vms).map(([vm, to]) => ({ vm, to, now: prefix.vms.find(({ name }) => name === vm)?.status ?? 'down' }));
  const blocked = problem !== undefined || damage !== undefined;
  return (
    <Dialog
      title={`Revert ${prefix.name} to “${snapshot.name}”?`}
      onClose={props.onClose}
      onSubmit={() => !blocked && props.onRevert(keep ? first : null)}
      actions={
        <>
          <Button onClick={props.onClose} data-autofocus>
            Cancel
          </Button>
          <Button type="submit" variant="filled" color={keep ? 'accent' : 'red'} disabled={blocked}>
            Revert {count(vms.length, 'VM')}
          </Button>
        </>
      }
    >
      {damage !== undefined && (
        <p className={styles.problem} role="alert">
          {damage}: it cannot be reverted to.
        </p>
      )}
      {plan.error !== undefined && <ErrorNotice title="Could not look at what a revert changes" error={plan.error} />}
      <p>
        {keep ? 'Leaves' : 'Loses'} what was done in the VMs since {formatClock(since, now)} ({ago(since, now)})
        {keep ? '; the snapshot below keeps it.' : '.'} Open terminals connect again by themselves.
      </p>
      <div className={styles.vms}>
        <table aria-label="VMs">
          <TableHead columns={['VM', 'Now', 'Afterwards']} />
          <tbody>
            {vms.map((one) => (
              <tr key={one.vm}>
                <td className="mono">{one.vm}</td>
                <td>{one.now}</td>
                <td>{THEN[one.to]}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <div className={dialogs.option}>
        <Checkbox size="xs" label="Snapshot the present first" checked={keep} onChange={(event) => setKeep(event.currentTarget.checked)} />
        <NameField
          aria-label="Name of the snapshot of the present"
          value={first}
          disabled={!keep}
          error={problem}
          onChange={(event) => setFirst(event.currentTarget.value)}
        />
      </div>
    </Dialog>
  );
}
