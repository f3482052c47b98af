import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import type { OperationState } from '../../../src-shared/operation.ts';
import { createLog } from './log.ts';
import { type OperationEvent, startOperation } from './operation.ts';
import { sleep } from './until.ts';

describe('startOperation', () => {
  it('reports nested steps in order and ends with fraction 1', async () => {
    const events: OperationEvent[] = [];
    const operation = startOperation({ kind: 'start', label: 'Start demo', onEvent: (event) => events.push(event) }, async (root) => {
      return await root.step('Start nets', async (nets) => {
        await nets.step('Create network a', async (one) => one.log.info('made'));
        return 42;
      });
    });
    expect(await operation.done).toBe(42);
    expect(events.map((event) => `${event.type} ${event.path.join('/')}`)).toEqual([
      'step-start Start nets',
      'step-start Start nets/Create network a',
      'log Start nets/Create network a',
      'step-end Start nets/Create network a',
      'step-end Start nets',
    ]);
    const { state } = operation;
    expect(operation.log()).toEqual(['made']);
    expect(state).toMatchObject({ status: 'succeeded', fraction: 1, logLines: 1 });
    expect(state.steps[0]?.steps[0]).toMatchObject({ label: 'Create network a', status: 'succeeded' });
  });

  it('never moves progress backwards', async () => {
    const seen: number[] = [];
    const operation = startOperation({ kind: 'create', label: 'x' }, async (root) => {
      for (const name of ['a', 'b', 'c', 'd']) {
        await root.step(name, async (step) => {
          step.progress(0.5, 'half');
          await sleep(60);
        });
      }
    });
    operation.onState((state) => seen.push(state.fraction));
    await operation.done;
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    expect(seen.at(-1)).toBe(1);
  });

  it('cancels at the next checkpoint, reports it, and waits for the undo', async () => {
    let undone = false;
    const operation = startOperation({ kind: 'create', label: 'x' }, async (root) => {
      try {
        await root.step('long', async (step) => await sleep(60_000, step.signal));
      } finally {
        await sleep(10);
        undone = true;
      }
    });
    setTimeout(() => operation.cancel(), 5);
    await expect(operation.done).rejects.toMatchObject({ code: 'cancelled' });
    expect(undone).toBe(true);
    expect(operation.state.status).toBe('cancelled');
    expect(operation.state.steps[0]?.status).toBe('cancelled');
  });

  it('shows when it acts by force, and does so at once when it is hurried', async () => {
    const operation = startOperation({ kind: 'shutdown', label: 'x' }, async (root) => {
      const at = Date.now() + 60_000;
      using countdown = root.countdown(at);
      await new Promise((resolve) => countdown.hurried.addEventListener('abort', resolve));
      return at;
    });
    operation.hurry();
    await expect.poll(() => operation.state.forceAt).toBeTypeOf('number');
    const { forceAt } = operation.state;
    operation.hurry();
    expect(await operation.done).toBe(forceAt);
    expect(operation.state).not.toHaveProperty('forceAt');
    operation.hurry();
  });

  it('keeps notes about its outcome', async () => {
    const operation = startOperation({ kind: 'vm', label: 'x' }, async (root) => {
      await root.step('inner', async (inner) => inner.note('It is there from the next start on.'));
    });
    expect(operation.state).not.toHaveProperty('notes');
    await operation.done;
    expect(operation.state.notes).toEqual(['It is there from the next start on.']);
  });

  it('keeps the error of the step that failed and marks its parents failed', async () => {
    const states: OperationState[] = [];
    const operation = startOperation({ kind: 'start', label: 'x' }, async (root) => {
      await root.step('outer', async (outer) => {
        await outer.each(
          ['a', 'b', 'c'],
          2,
          (item) => `do ${item}`,
          async (item, step) => {
            if (item === 'b') throw new EngineError('host.no-space', 'No space left.', { hint: 'Free some.' });
            await sleep(5000, step.signal);
          },
        );
      });
    });
    operation.onState((state) => states.push(state));
    await expect(operation.done).rejects.toMatchObject({ code: 'host.no-space' });
    const last = states.at(-1);
    expect(last).toMatchObject({ status: 'failed', error: { code: 'host.no-space', hint: 'Free some.' } });
    expect(last?.steps[0]?.steps.map((step) => `${step.label} ${step.status}`)).toEqual(['do a cancelled', 'do b failed']);
  });
});

it('shows output of programs without writing it to the log file', async () => {
  const written: string[] = [];
  const events: string[] = [];
  const operation = startOperation(
    {
      kind: 'start',
      label: 'test',
      log: createLog((_level, message) => written.push(message)),
      onEvent: (event) => {
        if (event.type === 'log') events.push(event.message);
      },
    },
    async (step) => {
      step.log.info('ours');
      step.output('theirs');
      await Promise.resolve();
    },
  );
  await operation.done;
  expect(written).toEqual(['ours']);
  expect(events).toEqual(['ours', 'theirs']);
  expect(operation.log()).toEqual(['ours', 'theirs']);
});
