import { test } from '@playwright/test';
import { endProcesses } from './leaks.ts';
import { makeScratch, type Scratch } from './scratch.ts';
import { closeDesktops } from './window.ts';

/**
 * Gives each test of a file its own scratch folder. After the test, closes its windows, ends what still runs of its environments (they
 * are meant to outlive the program, so a failed test would leave them), and removes the scratch folder.
 */
export function useScratch(take: (scratch: Scratch) => void): void {
  let scratch: Scratch | undefined;
  test.beforeEach(() => {
    scratch = makeScratch();
    take(scratch);
  });
  test.afterEach(async () => {
    await closeDesktops();
    if (scratch === undefined) return;
    endProcesses(scratch);
    scratch.remove();
    scratch = undefined;
  });
}
