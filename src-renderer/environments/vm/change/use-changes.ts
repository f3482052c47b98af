import { useState } from 'react';
import type { WireError } from '../../../../src-shared/errors.ts';
import type { PrefixState, VmState } from '../../../../src-shared/state.ts';
import type { VmChange } from '../../../../src-shared/vm-change.ts';
import { readError } from '../../../engine-client.ts';
import { useEngine } from '../../../engine-context.ts';
import { isRunning, useOperations } from '../../../live-cache.ts';
import { useBlocked } from '../../use-environment-actions.tsx';

/** A group of devices that is changed and reported on by itself. */
export type Part = 'memory' | 'cd' | 'disks' | 'nics';

/** What has become of the last change of a part. */
export type Outcome =
  | { readonly status: 'running'; readonly label: string }
  | { readonly status: 'done'; readonly notes: readonly string[] }
  | { readonly status: 'failed'; readonly error: WireError };

/** Changes of one VM, made one at a time. */
export interface Changes {
  /** Why nothing can be changed now; undefined when it can. */
  readonly blocked: string | undefined;
  outcome(part: Part): Outcome | undefined;
  /** Begins a change; nothing happens while changes are blocked. */
  begin(part: Part, change: VmChange): void;
  /** Forgets the outcome. */
  dismiss(part: Part): void;
}

/** The request of a change: on its way, refused, or an operation. */
type Request = 'sent' | { readonly error: WireError } | { readonly operation: string };

/** Begins changes of a VM and follows them to their ends, part by part. */
export function useChanges(prefix: PrefixState, vm: VmState): Changes {
  const { connection } = useEngine();
  const operations = useOperations();
  const [requests, setRequests] = useState<Readonly<Partial<Record<Part, Request>>>>({});
  const sending = Object.values(requests).includes('sent') ? 'A change is under way' : undefined;
  const blocked = useBlocked(prefix) ?? sending;

  async function send(part: Part, change: VmChange): Promise<void> {
    setRequests((all) => ({ ...all, [part]: 'sent' }));
    let request: Request;
    try {
      request = await connection.client.vm.change({ prefix: prefix.id, vm: vm.name, change });
    } catch (error) {
      request = { error: readError(error) };
    }
    setRequests((all) => ({ ...all, [part]: request }));
  }

  return {
    blocked,
    outcome(part) {
      const request = requests[part];
      if (request === undefined || request === 'sent') return undefined;
      if ('error' in request) return { status: 'failed', error: request.error };
      const operation = operations.find(({ id }) => id === request.operation);
      if (operation === undefined) return undefined;
      if (isRunning(operation)) return { status: 'running', label: operation.label };
      if (operation.error !== undefined) return { status: 'failed', error: operation.error };
      return { status: 'done', notes: operation.notes ?? [] };
    },
    begin(part, change) {
      if (blocked === undefined) void send(part, change);
    },
    dismiss: (part) => setRequests((all) => ({ ...all, [part]: undefined })),
  };
}
