import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import type { OperationState } from '../../src-shared/operation.ts';
import { count, formatFraction } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import styles from './closing-dialog.module.css';

/** Asks what to do with running tasks when the window closes. */
export function ClosingDialog(props: {
  readonly operations: readonly OperationState[];
  readonly onChoose: (choice: 'keep' | 'cancel' | 'stay') => void;
}): ReactElement {
  const { operations, onChoose } = props;
  const number = operations.length;
  return (
    <Dialog
      title={number === 0 ? 'Close the window?' : `${count(number, 'task')} ${number === 1 ? 'is' : 'are'} under way. Close the window?`}
      width={520}
      onClose={() => onChoose('stay')}
      actions={
        <>
          <Button onClick={() => onChoose('stay')} data-autofocus>
            Stay
          </Button>
          <span className={styles.space} />
          <Button color="red" variant="filled" onClick={() => onChoose('cancel')}>
            {number === 1 ? 'Cancel it and quit' : 'Cancel them and quit'}
          </Button>
          <Button variant="filled" onClick={() => onChoose('keep')}>
            Keep working in the background
          </Button>
        </>
      }
    >
      <ul className={styles.list}>
        {operations.map((operation) => (
          <li key={operation.id}>
            <span className="ellipsis">{operation.label}</span>
            <span className="dim">{formatFraction(operation.fraction)}</span>
          </li>
        ))}
      </ul>
      <p className="dim">
        A cancelled task undoes what it has done so far. If you do not answer, the window closes when all tasks are done.
      </p>
    </Dialog>
  );
}
