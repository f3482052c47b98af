import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@playwright/test';
import { twoVms } from './init-files.ts';
import { lagoOk } from './lago.ts';
import { endProcesses, expectNoProcess } from './leaks.ts';
import { makeScratch, type Scratch } from './scratch.ts';
import { closeDesktops } from './window.ts';

/**
 * Running environments for tests that are not about making one. Two VMs are created, started and waited for once in each worker of the test
 * runner; tests get forks, which run within a second or two.
 */

/** The VMs of each fork. */
export const VMS = ['web', 'db'] as const;
/** The snapshot that forks begin with and can be reverted to: both guests answer. */
export const READY = 'ready';
const ORIGINAL = 'original';

let original: Promise<Scratch> | undefined;

/** Brings the VMs up, and keeps that moment. The environment is off then: until the worker ends, it is files that no test changes. */
async function makeOriginal(): Promise<Scratch> {
  const scratch = makeScratch();
  process.once('exit', () => {
    endProcesses(scratch);
    scratch.remove();
  });
  const here = ['--prefix-path', join(scratch.workdir, ORIGINAL)];
  await lagoOk(scratch, ['--prefix-name', ORIGINAL, 'init', scratch.workdir, twoVms(scratch, 'pair')]);
  await lagoOk(scratch, [...here, 'start']);
  await Promise.all(VMS.map(async (vm) => await lagoOk(scratch, [...here, 'shell', vm, 'true'])));
  await lagoOk(scratch, [...here, 'snapshot', READY]);
  await lagoOk(scratch, [...here, 'stop']);
  await expectNoProcess(scratch);
  return scratch;
}

/**
 * A running fork under this name, in a scratch folder of its own but for `workdir`, where the original is too. Commands of `lago` with this
 * scratch folder are about the fork. Whoever asks for it hands it to `endEnvironment`.
 */
export async function forkPair(name: string): Promise<Scratch> {
  original ??= makeOriginal();
  const { workdir } = await original;
  const made = makeScratch();
  const env = { ...made.env, LAGO__LAGO__WORKDIR_PATH: workdir, LAGO__LAGO__PREFIX_NAME: name };
  const scratch: Scratch = { ...made, workdir, original: ORIGINAL, env };
  try {
    await lagoOk(scratch, ['--prefix-path', join(workdir, ORIGINAL), 'fork', READY, name]);
  } catch (error) {
    endProcesses(scratch);
    scratch.remove();
    throw error;
  }
  return scratch;
}

/** Destroys an environment in `workdir`, in whatever state it is, and removes the scratch folder. Nothing of it may be left. */
export async function endEnvironment(scratch: Scratch, name: string): Promise<void> {
  try {
    if (existsSync(join(scratch.workdir, name))) await lagoOk(scratch, ['--prefix-path', join(scratch.workdir, name), 'destroy', '--yes']);
    await expectNoProcess(scratch);
  } finally {
    endProcesses(scratch);
    scratch.remove();
  }
}

/** Gives each test of a file a fork of its own with this name. After the test, closes its windows and destroys the fork. */
export function useFork(name: string, take: (scratch: Scratch) => void): void {
  let scratch: Scratch | undefined;
  test.beforeEach(async () => {
    test.setTimeout(300_000);
    scratch = await forkPair(name);
    take(scratch);
  });
  test.afterEach(async () => {
    await closeDesktops();
    if (scratch === undefined) return;
    await endEnvironment(scratch, name);
    scratch = undefined;
  });
}
