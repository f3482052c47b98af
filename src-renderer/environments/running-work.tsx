import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import type { OperationState } from '../../src-shared/operation.ts';
import { useCall } from '../engine-context.ts';
import { formatFraction } from '../format.ts';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import { useWindow } from '../window-state.ts';
import styles from './running-work.module.css';

/** The time left until VMs whose guests do not shut down are powered off, and a button that does it now. */
function Countdown(props: { readonly operation: OperationState; readonly forceAt: number }): ReactElement {
  const { operation, forceAt } = props;
  const call = useCall();
  const left = Math.max(0, Math.ceil((forceAt - useNow()) / 1000));
  return (
    <>
      <span className={styles.countdown} role="timer">
        power off in {left} s
      </span>
      <Button
        size="compact-xs"
        variant="subtle"
        disabled={operation.status === 'cancelling'}
        onClick={() => void call('Could not power off', (client) => client.operation.hurry({ operation: operation.id }))}
      >
        Power off now
      </Button>
    </>
  );
}

/** The operation that is running on an environment. It replaces the line of facts, so that nothing moves when it begins or ends. */
export function RunningWork(props: { readonly operation: OperationState }): ReactElement {
  const { operation } = props;
  const { dispatch } = useWindow();
  const call = useCall();
  return (
    <div className={styles.work} role="group" aria-label={`Under way: ${operation.label}`}>
      <button
        type="button"
        className={styles.label}
        title="Show its steps"
        onClick={() => dispatch({ type: 'dock', open: true, view: 'tasks' })}
      >
        {operation.label}
      </button>
      {operation.forceAt === undefined ? (
        <>
          <ProgressBar fraction={operation.fraction} label={operation.label} width={120} />
          <span className={styles.percent}>{formatFraction(operation.fraction)}</span>
        </>
      ) : (
        <Countdown operation={operation} forceAt={operation.forceAt} />
      )}
      <Button
        size="compact-xs"
        variant="subtle"
        color="gray"
        disabled={operation.status === 'cancelling'}
        onClick={() => void call(`Could not cancel “${operation.label}”`, (client) => client.operation.cancel({ operation: operation.id }))}
      >
        {operation.status === 'cancelling' ? 'Cancelling…' : 'Cancel'}
      </Button>
    </div>
  );
}
