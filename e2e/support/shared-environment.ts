import { type Page, test } from '@playwright/test';
import { createFromPlan, dropPlan, expectRunning, expectTask, showView } from './environment.ts';
import { twoVms } from './init-files.ts';
import { lagoOk, type Outcome } from './lago.ts';
import { expectNoProcess } from './leaks.ts';
import { makeScratch, type Scratch } from './scratch.ts';
import { closeDesktops, type Desktop, openDesktop } from './window.ts';

/** The VMs of the shared environment. */
export const VMS = ['web', 'db'] as const;

/** One running environment for all tests of a file, which leave it running. */
export interface SharedEnvironment {
  readonly scratch: Scratch;
  readonly desktop: Desktop;
  readonly page: Page;
  /** Runs `lago` on it. */
  lago(...words: readonly string[]): Promise<Outcome>;
}

/**
 * Drops an init file with two VMs on the window, creates and starts it as `shop` before the first test of the file, and hands it over. After
 * the last one it is destroyed, and nothing of it may be left.
 */
export function useSharedEnvironment(take: (shared: SharedEnvironment) => void): void {
  let shared: SharedEnvironment | undefined;
  test.describe.configure({ mode: 'serial' });
  test.beforeAll(async () => {
    test.setTimeout(300_000);
    const scratch = makeScratch();
    const desktop = await openDesktop(scratch);
    const { page } = desktop;
    const lago = async (...words: readonly string[]): Promise<Outcome> =>
      await lagoOk(scratch, ['--prefix-path', `${scratch.workdir}/shop`, ...words]);
    shared = { scratch, desktop, page, lago };
    await dropPlan(page, twoVms(scratch, 'shop'), VMS);
    await createFromPlan(page, 'shop');
    await expectRunning(page, 'shop', VMS);
    await expectTask(page, 'shop', 'Create shop');
    await showView(page, 'shop', 'VMs');
    take(shared);
  });
  test.afterAll(async () => {
    await closeDesktops();
    if (shared === undefined) return;
    await shared.lago('destroy', '--yes');
    await expectNoProcess(shared.scratch);
    shared.scratch.remove();
  });
}
