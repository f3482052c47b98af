import { expect, test } from 'vitest';
import type { LiveEvent } from '../../src-shared/contract.ts';
import { silentLog } from '../engine/core/log.ts';
import type { Operation } from '../engine/core/operation.ts';
import { type FollowedEngine, RunningOperations } from './running.ts';

function operation(id: string, status: 'running' | 'cancelling' | 'succeeded' | 'failed' | 'cancelled'): LiveEvent {
  return { type: 'operation', operation: { id, kind: 'create', label: id, status, fraction: 0, startedAt: 0, steps: [], logLines: 0 } };
}

/** An engine whose events the test sends. */
function fakeEngine(): { engine: FollowedEngine; send(event: LiveEvent): Promise<void>; end(): void; cancelled: string[] } {
  const queue: LiveEvent[] = [];
  const cancelled: string[] = [];
  let wake: () => void = () => undefined;
  let over = false;
  return {
    cancelled,
    engine: {
      async *live() {
        while (!over) {
          const event = queue.shift();
          if (event !== undefined) yield event;
          else {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
          }
        }
      },
      operation: {
        get: (id) =>
          ({
            cancel: () => void cancelled.push(id),
            done: Promise.reject(new Error('cancelled')),
          }) as unknown as Operation,
      },
    },
    async send(event) {
      queue.push(event);
      wake();
      await new Promise((resolve) => setImmediate(resolve));
    },
    end() {
      over = true;
      wake();
    },
  };
}

test('counts running operations and reports when none is left', async () => {
  const { engine, send, end } = fakeEngine();
  const running = new RunningOperations(engine);
  const followed = running.follow(new AbortController().signal, silentLog);
  await running.drained();
  await send(operation('a', 'running'));
  await send(operation('b', 'running'));
  expect(running.count).toBe(2);
  let drained = false;
  const wait = running.drained().then(() => {
    drained = true;
  });
  await send(operation('a', 'succeeded'));
  await send(operation('b', 'cancelling'));
  expect(running.count).toBe(1);
  expect(drained).toBe(false);
  await send(operation('b', 'cancelled'));
  await wait;
  expect(running.count).toBe(0);
  end();
  await followed;
});

test('cancelling everything waits for each end, whatever it is', async () => {
  const { engine, send, end, cancelled } = fakeEngine();
  const running = new RunningOperations(engine);
  const followed = running.follow(new AbortController().signal, silentLog);
  await send(operation('a', 'running'));
  await send(operation('b', 'failed'));
  await running.cancelAll();
  expect(cancelled).toEqual(['a']);
  end();
  await followed;
});

test('when the engine ends, no caller waits for ever', async () => {
  const { engine, send, end } = fakeEngine();
  const running = new RunningOperations(engine);
  const followed = running.follow(new AbortController().signal, silentLog);
  await send(operation('a', 'running'));
  const drained = running.drained();
  end();
  await followed;
  await drained;
  expect(running.count).toBe(0);
});
