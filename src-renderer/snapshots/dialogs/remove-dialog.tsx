import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import { formatBytes } from '../../../src-shared/bytes.ts';
import type { RemovalChoice } from '../../../src-shared/snapshot/snapshot-plans.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import { count } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { ErrorNotice } from '../../ui/feedback/error-notice.tsx';
import { useAsked } from '../use-asked.ts';
import styles from './snapshot-dialogs.module.css';

function titleOf(choice: RemovalChoice): string {
  if ('unpinned' in choice) return 'Delete all snapshots but the pinned ones?';
  return 'branch' in choice ? `Delete “${choice.branch}” and what came from it?` : `Delete the snapshot “${choice.name}”?`;
}

/** Says what deleting touches and gives back, and asks. */
export function RemoveDialog(props: {
  readonly prefix: PrefixState;
  readonly choice: RemovalChoice;
  readonly onClose: () => void;
  readonly onRemove: () => void;
}): ReactElement {
  const { prefix, choice } = props;
  const plan = useAsked(JSON.stringify(choice), async (client) => await client.snapshot.removalPlan({ prefix: prefix.id, ...choice }));
  const { answer } = plan;
  const nothing = answer?.snapshots.length === 0;
  const pinned = prefix.snapshots.filter((one) => one.pinned && answer?.snapshots.includes(one.name) === true).map((one) => one.name);
  const merges = answer?.merges.filter(({ layers }) => layers > 0) ?? [];
  const single = 'name' in choice;
  const number = single ? 1 : answer?.snapshots.length;
  return (
    <Dialog
      title={titleOf(choice)}
      onClose={props.onClose}
      onSubmit={() => !nothing && props.onRemove()}
      actions={
        <>
          <Button onClick={props.onClose} data-autofocus>
            Keep {number === undefined || number === 1 ? 'it' : 'them'}
          </Button>
          <Button type="submit" variant="filled" color="red" disabled={number === undefined || nothing}>
            Delete {number === undefined || number === 1 ? 'snapshot' : count(number, 'snapshot')}
          </Button>
        </>
      }
    >
      {plan.error !== undefined && <ErrorNotice title="Could not look at what this deletes" error={plan.error} />}
      {nothing ? (
        <p>There is nothing to delete: all snapshots are pinned.</p>
      ) : (
        <p>
          You cannot come back to {number === 1 ? 'this moment' : 'these moments'} afterwards. The VMs and the other snapshots stay as they
          are.
        </p>
      )}
      {answer !== undefined && !nothing && (
        <dl className={styles.facts}>
          {!single && (
            <>
              <dt>Goes</dt>
              <dd className={`${styles.names} mono`}>{answer.snapshots.join(', ')}</dd>
            </>
          )}
          {pinned.length > 0 && (
            <>
              <dt>Pinned</dt>
              <dd className={styles.warning}>
                <span className="mono">{pinned.join(', ')}</span> {pinned.length === 1 ? 'is' : 'are'} pinned
              </dd>
            </>
          )}
          <dt>Gives back</dt>
          <dd>{answer.bytes > 0 ? `about ${formatBytes(answer.bytes)}` : 'next to nothing'}</dd>
          {merges.length > 0 && (
            <>
              <dt>Merges</dt>
              <dd>{merges.map(({ vm, layers }) => `${count(layers, 'layer')} of ${vm}`).join(', ')}; running VMs run on meanwhile</dd>
            </>
          )}
        </dl>
      )}
    </Dialog>
  );
}
