import { expect } from 'vitest';
import { injectFault } from '../core/fault.ts';

/** Work whose every step is to fail or die. `prepare` makes a new world for it each time. */
export interface Tried {
  readonly prepare: () => Promise<void>;
  readonly work: () => Promise<void>;
}

/**
 * Prepares and does the work again and again with a fault at each step and effect in turn, and `check`s what it left. Returns how many
 * there are.
 */
export async function atEachPoint(
  how: 'fail' | 'die',
  { prepare, work }: Tried,
  check: (point: string, at: number) => Promise<void>,
): Promise<number> {
  for (let at = 1; ; at++) {
    await prepare();
    const run = injectFault({ at, how });
    const failed = await work().then(
      () => false,
      () => true,
    );
    const { struck } = run;
    injectFault(undefined);
    if (!struck) {
      expect(failed).toBe(false);
      return at - 1;
    }
    await check(run.points[at - 1] ?? '', at);
  }
}
