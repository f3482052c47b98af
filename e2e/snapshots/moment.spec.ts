import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNoProcess } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { counted, expectCounting, inGuest, letThemCount, threeVms, VMS } from './counting.ts';

/** Three VMs that count and talk to each other all the time: after a revert and in forks, none is ahead of another. */

test.describe.configure({ mode: 'serial' });
let scratch: Scratch;

test.beforeAll(async () => {
  test.setTimeout(300_000);
  scratch = makeScratch();
  await lagoOk(scratch, ['init', threeVms(scratch)]);
  await lagoOk(scratch, ['start']);
  await letThemCount(scratch, 'default');
});

test.afterAll(async () => {
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

const workdir = (): string => join(scratch.dir, '.lago');

function environments(): readonly string[] {
  return existsSync(workdir())
    ? readdirSync(workdir()).filter((name) => existsSync(join(workdir(), name, 'uuid')) && name !== 'current')
    : [];
}

/** All layers of an environment are sound; QEMU uses those on top. Nothing seems to be done by another program. */
async function expectSound(prefix: string): Promise<void> {
  const known = [(await lagoOk(scratch, ['--prefix-name', prefix, 'snapshot', '--tree'])).stdout];
  known.push((await lagoOk(scratch, ['--prefix-name', prefix, 'status'])).stdout);
  expect(known.join('\n')).not.toContain('nother program');
  const images = join(workdir(), prefix, 'images');
  for (const name of readdirSync(images).filter((one) => one.endsWith('.qcow2'))) {
    execFileSync('qemu-img', ['check', '-q', '-U', join(images, name)]);
  }
}

interface Point {
  readonly name: string;
  readonly measured: { readonly stillMs: Record<string, number>; readonly mechanism: string };
}

function points(prefix: string): readonly Point[] {
  return (JSON.parse(readFileSync(join(workdir(), prefix, 'lago-desktop.json'), 'utf8')) as { readonly snapshots: readonly Point[] })
    .snapshots;
}

test('a snapshot disturbs nobody, and a revert takes all VMs back to one moment', async () => {
  await lagoOk(scratch, ['snapshot', 'first']);
  const after = await expectCounting(scratch, 'default');
  expect(Object.keys(points('default')[0]?.measured.stillMs ?? {}).sort()).toEqual([...VMS]);
  await inGuest(scratch, 'default', 'a', 'echo later >/root/later && sync');
  await lagoOk(scratch, ['snapshot', 'second']);
  await expectCounting(scratch, 'default');
  const late = await Promise.all(VMS.map(async (vm) => await counted(scratch, 'default', vm)));
  await lagoOk(scratch, ['revert', 'first']);
  const back = await expectCounting(scratch, 'default');
  for (const [index, { sent }] of back.entries()) expect(sent).toBeLessThan(late[index]?.sent ?? 0);
  expect(after.length).toBe(VMS.length);
  expect(await inGuest(scratch, 'default', 'a', 'ls /root')).not.toContain('later');
  // Forward again, into the branch that was left.
  await lagoOk(scratch, ['revert', 'second']);
  await expectCounting(scratch, 'default');
  expect(await inGuest(scratch, 'default', 'a', 'cat /root/later')).toContain('later');
});

test('a fork runs on beside its origin, and so does a fork of the fork', async () => {
  await lagoOk(scratch, ['fork', 'left']);
  expect(points('default').map(({ name }) => name)).toEqual(['first', 'second']);
  await expectCounting(scratch, 'left');
  await expectCounting(scratch, 'default');
  // Each has its own disks from here on.
  await inGuest(scratch, 'left', 'b', 'echo left >/root/who && sync');
  await inGuest(scratch, 'default', 'b', 'echo right >/root/who && sync');
  expect(await inGuest(scratch, 'left', 'b', 'cat /root/who')).toContain('left');
  await lagoOk(scratch, ['suspend']);
  await lagoOk(scratch, ['--prefix-name', 'left', 'fork', 'leftmost']);
  await expectCounting(scratch, 'leftmost');
  expect(await inGuest(scratch, 'leftmost', 'b', 'cat /root/who')).toContain('left');
  await lagoOk(scratch, ['resume']);
  expect(await inGuest(scratch, 'default', 'b', 'cat /root/who')).toContain('right');
  await lagoOk(scratch, ['--prefix-name', 'leftmost', 'suspend']);
  // A snapshot of a fork is its own.
  await lagoOk(scratch, ['--prefix-name', 'left', 'snapshot', 'mine']);
  await lagoOk(scratch, ['--prefix-name', 'left', 'revert', 'mine']);
  await expectCounting(scratch, 'left');
});

test('snapshots are deleted while VMs run and forks have the same files', async () => {
  await lagoOk(scratch, ['--prefix-name', 'left', 'suspend']);
  await lagoOk(scratch, ['fork', 'first', 'early']);
  await expectCounting(scratch, 'early');
  expect(await inGuest(scratch, 'early', 'a', 'ls /root')).not.toContain('later');
  for (const name of ['first', 'second']) await lagoOk(scratch, ['snapshot', '--delete', name]);
  await expectCounting(scratch, 'default');
  for (const name of environments()) await expectSound(name);
  // The fork has the point that it began with.
  await lagoOk(scratch, ['--prefix-name', 'early', 'revert', 'first']);
  await expectCounting(scratch, 'early');
});

test('forks outlive their origin, and five are made at once', async () => {
  await lagoOk(scratch, ['--prefix-name', 'default', 'destroy', '--yes']);
  for (const name of ['early', 'leftmost', 'left']) {
    await lagoOk(scratch, ['--prefix-name', name, 'resume']);
    await expectCounting(scratch, name);
    if (name !== 'left') await lagoOk(scratch, ['--prefix-name', name, 'destroy', '--yes']);
  }
  await lagoOk(scratch, ['--prefix-name', 'left', 'fork', '--count', '5', 'run']);
  const refused = await lago(scratch, ['--prefix-name', 'left', 'fork', 'run-3']);
  expect(refused.stderr).toContain('already exists');
  await lagoOk(scratch, ['--prefix-name', 'left', 'destroy', '--yes']);
  const runs = [1, 2, 3, 4, 5].map((number) => `run-${number}`);
  await Promise.all(runs.map(async (name) => await inGuest(scratch, name, 'c', `echo ${name} >/root/who && sync`)));
  const told = await Promise.all(runs.map(async (name) => await inGuest(scratch, name, 'c', 'cat /root/who')));
  expect(told.map((text) => text.trim())).toEqual(runs);
  await expectCounting(scratch, 'run-3');
});
