import { expect, test } from 'vitest';
import type { LiveEvent } from '../../../src-shared/contract.ts';
import { OPERATION_LOG_LINES } from '../../../src-shared/operation.ts';
import { type Operation, type Step, startOperation } from '../core/operation.ts';
import { createOperations } from './operations.ts';

/** An operation controlled by the test, until it is told to end. */
function steered(): { readonly operation: Operation; step(): Promise<Step>; end(): void } {
  let end = (): void => undefined;
  const over = new Promise<void>((resolve) => {
    end = resolve;
  });
  let give: (step: Step) => void = () => undefined;
  const begun = new Promise<Step>((resolve) => {
    give = resolve;
  });
  const operation = startOperation({ kind: 'start', label: 'Start shop' }, async (step) => {
    give(step);
    await over;
  });
  return { operation, step: async () => await begun, end: () => end() };
}

test('a log yields the kept lines, then each new one, and ends with its operation', async () => {
  const { operation, step, end } = steered();
  const table = createOperations(() => undefined);
  table.register(operation);
  const { log } = await step();
  for (let line = 0; line < OPERATION_LOG_LINES + 2; line++) log.info(`old ${line}`);
  log.debug('not for users');

  const lines = table.log(operation.id, new AbortController().signal);
  const first = (await lines.next()).value as readonly string[];
  expect([first.length, first[0], first.at(-1)]).toEqual([OPERATION_LOG_LINES, 'old 2', `old ${OPERATION_LOG_LINES + 1}`]);
  expect(operation.state.logLines).toBe(OPERATION_LOG_LINES + 2);

  const next = lines.next();
  log.warn('new 1');
  log.warn('new 2');
  expect(await next).toEqual({ done: false, value: ['new 1', 'new 2'] });
  const last = lines.next();
  end();
  expect(await last).toEqual({ done: true, value: undefined });
});

test('an abandoned log ends at once, and an unknown one has no lines', async () => {
  const { operation, step, end } = steered();
  const table = createOperations(() => undefined);
  table.register(operation);
  await step();
  const page = new AbortController();
  const waiting = table.log(operation.id, page.signal).next();
  page.abort();
  expect((await waiting).done).toBe(true);
  expect((await table.log('nobody', page.signal).next()).done).toBe(true);
  end();
});

test('states are sent without the lines of the log', async () => {
  const events: LiveEvent[] = [];
  const { operation, step, end } = steered();
  const table = createOperations((event) => events.push(event));
  table.register(operation);
  (await step()).log.info('a line');
  end();
  await operation.done;
  expect(JSON.stringify(events)).not.toContain('a line');
  expect(events.at(-1)).toMatchObject({ type: 'operation', operation: { status: 'succeeded', logLines: 1 } });
  table.dismiss(operation.id);
  expect(table.states()).toEqual([]);
  expect(events.at(-1)).toEqual({ type: 'operation-gone', id: operation.id });
});
