import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@playwright/test';
import { lago, lagoOk } from '../support/lago.ts';
import { expectNoProcess, ownedProcesses } from '../support/leaks.ts';
import { makeScratch, type Scratch } from '../support/scratch.ts';
import { wrongFiles } from '../support/whole-environment.ts';

/** Killed at each step and effect in turn: the next verb finishes or takes back, VMs run, and nothing is left behind. */

test.describe.configure({ mode: 'serial' });
let scratch: Scratch;

test.beforeAll(async () => {
  scratch = makeScratch();
  await lagoOk(scratch, ['init', silentVms()]);
  await lagoOk(scratch, ['start']);
  await lagoOk(scratch, ['snapshot', 'kept']);
});

test.afterAll(async () => {
  await lagoOk(scratch, ['destroy', '--yes', '--all-prefixes']);
  await expectNoProcess(scratch);
  scratch.remove();
});

/** Two VMs with empty disks and nothing to boot: quick to save and restore. */
function silentVms(): string {
  const vm = {
    memory: 64,
    vcpu: 1,
    nics: [{ net: 'n' }],
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'empty', size: '64M' }],
  };
  const nets = { n: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } };
  return scratch.write('silent.json', JSON.stringify({ nets, domains: { one: vm, two: vm } }));
}

const workdir = (): string => join(scratch.dir, '.lago');
const prefixes = (): readonly string[] => readdirSync(workdir()).filter((name) => name !== 'current' && !name.startsWith('.'));

interface Record {
  readonly snapshots: readonly { readonly name: string }[];
  readonly current: string | null;
  readonly pending: unknown;
}

function record(prefix: string): Record {
  return JSON.parse(readFileSync(join(workdir(), prefix, 'lago-desktop.json'), 'utf8')) as Record;
}

/** All VMs of an environment run. */
async function expectRunning(prefix: string): Promise<void> {
  const { stdout } = await lagoOk(scratch, ['--prefix-name', prefix, '--out-format', 'flat', 'status']);
  expect([...stdout.matchAll(/VMs\/\w+\/status: (.*)/g)].map((match) => match[1])).toEqual(['running', 'running']);
}

/** So many points are left out between two that are tried: each takes a few seconds. Unit tests try all of them without QEMU. */
const STRIDE = 4;

/** Kills the command at more and more points, until it gets through; after each kill `check` finds all in order. */
async function killEverywhere(words: readonly string[], check: () => Promise<void>, again: () => Promise<void>): Promise<number> {
  for (let point = 2; ; point += STRIDE) {
    const { code, stderr } = await lago(scratch, words, { env: { LAGO_FAULT: `kill:${point}` } });
    if (code === 0) return point - 1;
    expect(code, stderr).toBe(137);
    await check();
    await again();
  }
}

async function afterwards(): Promise<void> {
  // Any verb that opens the environment for a change does what is left to do.
  await lagoOk(scratch, ['start']);
  expect(record('default').pending).toBeNull();
  for (const prefix of prefixes()) {
    if (prefix !== 'default') await lagoOk(scratch, ['--prefix-name', prefix, 'start']);
    await expectRunning(prefix);
    expect(wrongFiles(join(workdir(), prefix), { merged: false })).toEqual([]);
  }
  expect(ownedProcesses(scratch).filter(({ command }) => command.startsWith('/usr/bin/qemu-system'))).toHaveLength(2 * prefixes().length);
  expect(record('default').snapshots.map(({ name }) => name)).toContain('kept');
}

async function without(name: string): Promise<void> {
  if (record('default').snapshots.some((one) => one.name === name)) await lagoOk(scratch, ['snapshot', '--delete', name]);
}

test('while a snapshot is taken', async () => {
  test.setTimeout(600_000);
  const points = await killEverywhere(['snapshot', 'point'], afterwards, async () => await without('point'));
  expect(points).toBeGreaterThan(5);
  await without('point');
  await afterwards();
});

test('while VMs go back', async () => {
  test.setTimeout(600_000);
  const points = await killEverywhere(['revert', 'kept'], afterwards, async () => {});
  expect(points).toBeGreaterThan(5);
  await afterwards();
});

test('while a snapshot is deleted', async () => {
  test.setTimeout(600_000);
  const take = async (): Promise<void> => {
    if (!record('default').snapshots.some(({ name }) => name === 'point')) await lagoOk(scratch, ['snapshot', 'point']);
  };
  await take();
  const points = await killEverywhere(['snapshot', '--delete', 'point'], afterwards, take);
  expect(points).toBeGreaterThan(1);
  await afterwards();
});

test('while it is forked', async () => {
  test.setTimeout(600_000);
  const forget = async (): Promise<void> => {
    if (existsSync(join(workdir(), 'other'))) await lagoOk(scratch, ['--prefix-name', 'other', 'destroy', '--yes']);
  };
  const points = await killEverywhere(['fork', 'other'], afterwards, forget);
  expect(points).toBeGreaterThan(10);
  await afterwards();
  expect(prefixes()).toEqual(['default', 'other']);
  expect(record('default').snapshots.map(({ name }) => name)).toEqual(['kept']);
});
