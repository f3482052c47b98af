import { afterEach, describe, expect, it } from 'vitest';
import { faultPlanOf, injectFault } from './fault.ts';
import { silentLog } from './log.ts';
import { startOperation } from './operation.ts';
import { UndoStack } from './undo.ts';

afterEach(() => void injectFault(undefined));

/** Two steps with one effect each; returns the effects that remain. */
async function work(): Promise<readonly string[]> {
  const there = new Set<string>();
  const operation = startOperation({ kind: 'start', label: 'test' }, async (root) => {
    await using undo = new UndoStack(silentLog);
    for (const name of ['a', 'b']) {
      await root.step(name, async () => {
        there.add(name);
        undo.add(`remove ${name}`, () => void there.delete(name));
        await Promise.resolve();
      });
    }
    undo.commit();
  });
  await operation.done.catch(() => undefined);
  return [...there];
}

describe('an injected fault', () => {
  it('does nothing without a plan', async () => {
    expect(await work()).toEqual(['a', 'b']);
  });

  it('fails at each step and effect, after which everything is undone', async () => {
    for (let at = 1; at <= 4; at++) {
      const run = injectFault({ at, how: 'fail' });
      expect(await work()).toEqual([]);
      expect(run.struck).toBe(true);
    }
    const run = injectFault({ at: 5, how: 'fail' });
    expect(await work()).toEqual(['a', 'b']);
    expect(run.struck).toBe(false);
    expect(run.points).toEqual(['step: a', 'effect: remove a', 'step: b', 'effect: remove b']);
  });

  it('leaves the effects in place when it dies', async () => {
    injectFault({ at: 4, how: 'die' });
    expect(await work()).toEqual(['a', 'b']);
    injectFault({ at: 2, how: 'die' });
    expect(await work()).toEqual(['a']);
  });

  it('is read from one environment variable', () => {
    expect(faultPlanOf('kill:7')).toEqual({ how: 'kill', at: 7 });
    expect(faultPlanOf('fail:1')).toEqual({ how: 'fail', at: 1 });
    expect(faultPlanOf('hold:2')).toEqual({ how: 'hold', at: 2 });
    for (const text of [undefined, '', 'die:1', 'kill:', 'kill:x', 'kill:7 ']) expect(faultPlanOf(text)).toBeUndefined();
  });
});
