import { join } from 'node:path';
import { bootId, isRunning, parseIdentity, readOptional } from '../../core/process-identity.ts';

/**
 * A sentence for the user when the host recorded in this folder ended without being stopped: a stop removes its record. Undefined while it
 * runs, and when there is none.
 */
export function unexpectedEnd(stateDir: string): string | undefined {
  const identity = parseIdentity(readOptional(join(stateDir, 'cell')) ?? '');
  if (identity === undefined || isRunning(identity)) return undefined;
  const what =
    identity.boot === bootId()
      ? `The environment's host (pid ${identity.pid}) ended unexpectedly, and its VMs with it.`
      : 'The machine was restarted while the environment ran: its VMs are off.';
  return `${what} “lago start” starts them again.`;
}
