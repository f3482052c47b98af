import type { LiveEvent } from '../../../src-shared/contract.ts';
import { OPERATION_LOG_LINES, type OperationState } from '../../../src-shared/operation.ts';
import type { Operation } from '../core/operation.ts';
import { sleep } from '../core/until.ts';
import type { Operations } from '../engine.ts';

/** How many finished operations are kept, so that their results can still be seen. */
const FINISHED_KEPT = 30;
/** Lines within this time are sent together. */
const LINES_EVERY_MS = 50;

export interface OperationTable extends Operations {
  /** Adds an operation, and publishes it from now on. */
  register(operation: Operation): void;
  states(): OperationState[];
}

/** The operations of this process. */
export function createOperations(publish: (event: LiveEvent) => void): OperationTable {
  const operations = new Map<string, Operation>();

  function forgetOld(): void {
    const ended = [...operations.values()].filter((operation) => operation.state.endedAt !== undefined);
    for (const operation of ended.slice(0, Math.max(0, ended.length - FINISHED_KEPT))) operations.delete(operation.id);
  }

  return {
    register(operation) {
      operations.set(operation.id, operation);
      operation.onState((state) => publish({ type: 'operation', operation: state }));
      publish({ type: 'operation', operation: operation.state });
      forgetOld();
    },
    states: () => [...operations.values()].map((operation) => operation.state),
    get: (id) => operations.get(id),
    dismiss(id) {
      if (operations.get(id)?.state.endedAt === undefined) return;
      operations.delete(id);
      publish({ type: 'operation-gone', id });
    },
    async *log(id, signal) {
      const operation = operations.get(id);
      if (operation !== undefined) yield* linesOf(operation, signal);
    },
  };
}

async function* linesOf(operation: Operation, signal: AbortSignal): AsyncIterableIterator<readonly string[]> {
  let waiting = [...operation.log()];
  let wake = (): void => undefined;
  const forgetLines = operation.onLine((line) => {
    waiting.push(line);
    if (waiting.length > OPERATION_LOG_LINES) waiting.shift();
    wake();
  });
  const look = (): void => wake();
  const forgetState = operation.onState(look);
  signal.addEventListener('abort', look);
  try {
    while (!signal.aborted) {
      if (waiting.length > 0) {
        const lines = waiting;
        waiting = [];
        yield lines;
        await sleep(LINES_EVERY_MS);
      } else if (operation.state.endedAt !== undefined) return;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener('abort', look);
    forgetState();
    forgetLines();
  }
}
