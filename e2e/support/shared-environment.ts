import { type Page, test } from '@playwright/test';
import { expectRunning, openEnvironment, showView } from './environment.ts';
import { endEnvironment, forkPair, VMS } from './forks.ts';
import { lagoOk, type Outcome } from './lago.ts';
import type { Scratch } from './scratch.ts';
import { closeDesktops, type Desktop, openDesktop } from './window.ts';

/** Name of the shared environment. */
const NAME = 'shop';

/** One running environment with the VMs `VMS` for all tests of a file, which leave it running. */
export interface SharedEnvironment {
  readonly scratch: Scratch;
  readonly desktop: Desktop;
  readonly page: Page;
  /** Runs `lago` on it. */
  lago(...words: readonly string[]): Promise<Outcome>;
}

/**
 * Makes a running fork `shop` before the first test of the file, opens it in a window, and hands both over. After the last one it is
 * destroyed, and nothing of it may be left.
 */
export function useSharedEnvironment(take: (shared: SharedEnvironment) => void): void {
  let forked: Scratch | undefined;
  test.describe.configure({ mode: 'serial' });
  test.beforeAll(async () => {
    test.setTimeout(300_000);
    const scratch = await forkPair(NAME);
    forked = scratch;
    const desktop = await openDesktop(scratch);
    const { page } = desktop;
    await openEnvironment(page, NAME);
    await expectRunning(page, NAME, VMS);
    await showView(page, NAME, 'VMs');
    const lago = async (...words: readonly string[]): Promise<Outcome> => await lagoOk(scratch, words);
    take({ scratch, desktop, page, lago });
  });
  test.afterAll(async () => {
    await closeDesktops();
    if (forked !== undefined) await endEnvironment(forked, NAME);
  });
}
