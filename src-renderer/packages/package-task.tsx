import type { ReactElement } from 'react';
import type { OperationState } from '../../src-shared/operation.ts';
import { useCall } from '../engine-context.ts';
import { useOperations } from '../live-cache.ts';
import { TaskCard } from '../tasks/task-card.tsx';
import styles from './packages.module.css';

/** The last merge or synchronisation of an environment's packages. */
export function usePackageTask(kind: 'merge' | 'sync', prefixId: string): OperationState | undefined {
  return useOperations().findLast((one) => one.kind === kind && one.prefix === prefixId);
}

/** Such a task, until it has succeeded: then the packages themselves say so. */
export function PackageTask({ operation }: { readonly operation: OperationState | undefined }): ReactElement | null {
  const call = useCall();
  if (operation === undefined || operation.status === 'succeeded') return null;
  const { id, label } = operation;
  return (
    <div className={styles.task}>
      <TaskCard
        key={id}
        operation={operation}
        onCancel={() => void call(`Could not cancel “${label}”`, (client) => client.operation.cancel({ operation: id }))}
        onDismiss={() => void call(`Could not dismiss “${label}”`, (client) => client.operation.dismiss({ operation: id }))}
      />
    </div>
  );
}
