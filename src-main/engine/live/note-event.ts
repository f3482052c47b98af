import { existsSync } from 'node:fs';
import { exitCodeOf, toEngineError } from '../../../src-shared/errors.ts';
import type { OperationKind } from '../../../src-shared/operation.ts';
import type { TimelineEvent } from '../../../src-shared/snapshot/timeline.ts';
import { isDead } from '../core/fault.ts';
import type { Log } from '../core/log.ts';
import { addEvent } from '../prefix/events.ts';
import { prefixPaths } from '../prefix/layout.ts';

/** What the timeline shows of an operation that succeeded. Snapshots are points of it already. */
const KINDS: Partial<Readonly<Record<OperationKind, TimelineEvent['kind']>>> = {
  start: 'start',
  stop: 'stop',
  shutdown: 'stop',
  deploy: 'deploy',
  collect: 'collect',
  revert: 'revert',
  fork: 'fork',
  vm: 'change',
};

/** Their failures are told, too; the others have no environment that could remember them, or say nothing about it. */
const TELLING: ReadonlySet<OperationKind> = new Set<OperationKind>([
  ...(Object.keys(KINDS) as OperationKind[]),
  'snapshot',
  'delete-snapshot',
  'prune-snapshots',
  'reboot',
  'suspend',
  'resume',
]);

/** Exit codes of errors after which everything is as before: wrong requests, and conflicts with other work. */
const REFUSED: ReadonlySet<number> = new Set([2, 4, 130]);

/**
 * Remembers in the environment at `root` that an operation has ended, with the error that it failed with, if it did. Never fails: what
 * cannot be written is a warning.
 */
export async function noteEvent(
  root: string,
  operation: { readonly kind: OperationKind; readonly label: string },
  failure: unknown,
  log: Log,
): Promise<void> {
  const paths = prefixPaths(root);
  const event = eventOf(operation, failure);
  // A killed process does not write, and nothing is written into a prefix that is being removed.
  if (event === undefined || isDead() || !existsSync(paths.uuid)) return;
  try {
    await addEvent(paths, event);
  } catch (error) {
    log.warn(`Not added to the timeline: “${event.label}”. ${error instanceof Error ? error.message : String(error)}`);
  }
}

function eventOf(operation: { readonly kind: OperationKind; readonly label: string }, failure: unknown): TimelineEvent | undefined {
  const at = Date.now();
  const { kind, label } = operation;
  if (failure === undefined) {
    const done = KINDS[kind];
    return done === undefined ? undefined : { at, kind: done, label };
  }
  const { code, message } = toEngineError(failure);
  if (!TELLING.has(kind) || REFUSED.has(exitCodeOf(code))) return undefined;
  return { at, kind: 'failure', label: `${label} failed: ${message}` };
}
