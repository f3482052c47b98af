import type { ChildProcess } from 'node:child_process';
import { readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from '@playwright/test';
import { lago, lagoOk, type Outcome } from '../support/lago.ts';
import { expectNoProcess, ownedProcesses, qemuOf } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { wrongFiles } from '../support/whole-environment.ts';
import { expectCounting, letThemCount, threeVms } from './counting.ts';

/**
 * Something breaks while a snapshot of VMs that count is taken: there is all of it afterwards or nothing, the VMs go on counting, what
 * failed is said in a sentence, and the next verb works. A full disk is in `interrupted.spec.ts`.
 */

test.describe.configure({ mode: 'serial' });
let scratch: Scratch;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  await lagoOk(scratch, ['init', threeVms(scratch)]);
  await lagoOk(scratch, ['start']);
  await letThemCount(scratch, 'default');
  await lagoOk(scratch, ['snapshot', 'kept']);
});

test.afterAll(async () => {
  await lagoOk(scratch, ['destroy', '--yes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

const prefix = (): string => join(scratch.dir, '.lago/default');

function pidOf(program: RegExp): number {
  const found = ownedProcesses(scratch).find(({ command }) => program.test(command));
  if (found === undefined) throw new Error(`There is no process ${program}.`);
  return found.pid;
}

/** Takes a snapshot, and does something when the memory of all its VMs is being written. */
async function takeAnd(name: string, strike: () => void): Promise<Outcome> {
  const memory = ['a', 'b', 'c'].map((vm) => join(prefix(), 'snapshots', name, `${vm}.memory`));
  // A file that has something is being copied into: whoever copies goes on by itself.
  const hasSome = (path: string): boolean => (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > 0;
  let struck: Promise<boolean> | undefined;
  const onceWriting = async (child: ChildProcess): Promise<boolean> => {
    while (!memory.every(hasSome)) {
      if (child.exitCode !== null || child.signalCode !== null) return false;
      await pause(2);
    }
    strike();
    return true;
  };
  const outcome = await lago(scratch, ['snapshot', name], {
    onStart: (child) => {
      struck = onceWriting(child);
    },
  });
  expect(await struck, outcome.stderr).toBe(true);
  return outcome;
}

function listed(): readonly string[] {
  const record = JSON.parse(readFileSync(join(prefix(), 'lago-desktop.json'), 'utf8')) as {
    readonly snapshots: readonly { readonly name: string }[];
  };
  return record.snapshots.map(({ name }) => name);
}

function expectSentence({ code, stderr }: Outcome, says: RegExp): void {
  expect(stderr).toMatch(says);
  expect(stderr).not.toMatch(/\n\s+at |Not undone/);
  expect(code).toBeGreaterThan(1);
}

/** Nothing of a snapshot that failed is left, the VMs go on, and one that is taken now is whole and can be deleted. */
async function expectAsBefore(): Promise<void> {
  expect([listed(), wrongFiles(prefix())]).toEqual([['kept'], []]);
  await expectCounting(scratch, 'default');
  await lagoOk(scratch, ['snapshot', 'next']);
  expect([listed(), wrongFiles(prefix())]).toEqual([['kept', 'next'], []]);
  await lagoOk(scratch, ['snapshot', '--delete', 'next']);
  await expectCounting(scratch, 'default');
  expect([listed(), wrongFiles(prefix())]).toEqual([['kept'], []]);
}

test('a disk on which no layer can be put', async () => {
  const disk = JSON.parse(readFileSync(join(prefix(), 'virt/vm-c'), 'utf8')) as { readonly disks: readonly { readonly path: string }[] };
  const image = (disk.disks[0]?.path ?? '').replace('$LAGO_PREFIX_PATH', prefix());
  // QEMU has it open, and does not notice.
  renameSync(image, `${image}.away`);
  const outcome = await lago(scratch, ['snapshot', 'lost']);
  renameSync(`${image}.away`, image);
  expectSentence(outcome, /A layer could not be put on .*c_root/);
  await expectAsBefore();
});

test('the process that takes the memory is killed', async () => {
  const outcome = await takeAnd('lost', () => process.kill(pidOf(/memory-sink\.cjs/), 'SIGKILL'));
  expectSentence(outcome, /memory/);
  await expectAsBefore();
});

test('libvirtd is killed', async () => {
  const outcome = await takeAnd('struck', () => process.kill(pidOf(/^(\S*\/)?libvirtd /), 'SIGKILL'));
  // Its successor may have been there in time.
  if (outcome.code === 0) {
    expect(listed()).toEqual(['kept', 'struck']);
    await lagoOk(scratch, ['snapshot', '--delete', 'struck']);
  } else expectSentence(outcome, /./);
  await lagoOk(scratch, ['start']);
  await expectAsBefore();
});

test('a VM ends', async () => {
  const outcome = await takeAnd('lost', () => process.kill(qemuOf(scratch, 'b'), 'SIGKILL'));
  expectSentence(outcome, /error: VM b ended while the snapshot was taken/);
  expect(listed()).toEqual(['kept']);
  const { stdout } = await lagoOk(scratch, ['-f', 'flat', 'status']);
  expect([...stdout.matchAll(/VMs\/(\w+)\/status: (.*)/g)].map((match) => match.slice(1).join(' '))).toEqual([
    'a running',
    'b crashed',
    'c running',
  ]);
  await lagoOk(scratch, ['start']);
  expect(wrongFiles(prefix())).toEqual([]);
  // Only a revert brings the connections back.
  await lagoOk(scratch, ['revert', 'kept']);
  await expectAsBefore();
});
