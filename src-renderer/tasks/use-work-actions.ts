import { IconPlayerPause, IconPlayerPlay, IconX } from '@tabler/icons-react';
import type { OperationState } from '../../src-shared/operation.ts';
import { useCall } from '../engine-context.ts';
import { useUnreachable } from '../live-cache.ts';
import type { Action } from '../ui/menu/action.ts';

/** What can be done with a running operation on `what`: pause or resume it, if it can be paused, and cancel it. */
export function useWorkActions(): (operation: OperationState, what: string) => readonly Action[] {
  const call = useCall();
  const unreachable = useUnreachable();
  return ({ id, label, paused, status }, what) => {
    const blocked = unreachable ?? (status === 'cancelling' ? 'It is being cancelled' : undefined);
    const cancel: Action = {
      id: 'cancel',
      label: 'Cancel',
      icon: IconX,
      blocked,
      run: () => void call(`Could not cancel “${label}”`, (client) => client.operation.cancel({ operation: id })),
    };
    if (paused === undefined) return [cancel];
    const resume: Action = {
      id: 'resume',
      label: 'Resume',
      icon: IconPlayerPlay,
      blocked,
      run: () => void call(`Could not resume ${what}`, (client) => client.operation.resume({ operation: id })),
    };
    const pause: Action = {
      id: 'pause',
      label: 'Pause',
      icon: IconPlayerPause,
      blocked,
      run: () => void call(`Could not pause ${what}`, (client) => client.operation.pause({ operation: id })),
    };
    return [paused ? resume : pause, cancel];
  };
}
