import { IconListCheck } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { OperationState } from '../../src-shared/operation.ts';
import { useCall } from '../engine-context.ts';
import { Empty } from '../ui/feedback/empty.tsx';
import { TaskCard } from './task-card.tsx';

/** Operations, the newest on top. Finished ones stay until they are dismissed. */
export function TaskList(props: { readonly operations: readonly OperationState[]; readonly emptyBody: string }): ReactElement {
  const call = useCall();
  if (props.operations.length === 0) return <Empty compact icon={IconListCheck} title="No tasks" body={props.emptyBody} />;
  return (
    <div role="list" aria-label="Tasks">
      {props.operations.toReversed().map((operation) => (
        <div role="listitem" key={operation.id}>
          <TaskCard
            operation={operation}
            onCancel={() =>
              void call(`Could not cancel “${operation.label}”`, (client) => client.operation.cancel({ operation: operation.id }))
            }
            onDismiss={() =>
              void call(`Could not dismiss “${operation.label}”`, (client) => client.operation.dismiss({ operation: operation.id }))
            }
          />
        </div>
      ))}
    </div>
  );
}
