import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EngineSettings } from '../configuration/settings.ts';
import { takeLock } from '../core/lock.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { readPrefix } from '../prefix/prefix.ts';
import { readRecord, type SnapshotRecord, writeRecord } from '../prefix/record.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { snapshotBefore } from './automatic-snapshot.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { editSnapshot } from './edit-snapshot.ts';
import { startEnvironment } from './lifecycle.ts';
import { revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-automatic-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function doing(work: (context: RecipeContext, step: Step) => Promise<void>, settings: Partial<EngineSettings> = {}): Promise<void> {
  const context = { ...world.context, settings: { ...world.context.settings, ...settings } };
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await work(context, step)).done;
}
const points = async (): Promise<readonly SnapshotRecord[]> => (await readPrefix(root)).record?.snapshots ?? [];
const take = async (name: string): Promise<void> => await doing(async (context, step) => await takeSnapshot(context, root, name, step));
const revert = async (name: string, settings: Partial<EngineSettings>, first?: string): Promise<void> =>
  await doing(async (context, step) => await revertSnapshot(context, root, name, first, step), settings);

const WANTED = { snapshotBefore: ['revert'] } as const;

test('nothing is taken unless it is wanted', async () => {
  await take('base');
  await revert('base', {});
  await revert('base', WANTED, 'mine');
  expect((await points()).map(({ name, automatic }) => [name, automatic])).toEqual([
    ['base', undefined],
    ['mine', undefined],
  ]);
});

test('one before a revert makes that one undoable', async () => {
  await doing(async (context, step) => await startEnvironment(context, root, ['vm0'], step));
  await take('base');
  await revert('base', WANTED);
  const [, before] = await points();
  expect(before).toMatchObject({ name: expect.stringMatching(/^before revert \d{4}-\d\d-\d\d \d\d\.\d\d\.\d\d$/), automatic: true });
  await revert(before?.name ?? '', {});
  expect(await inconsistencies(root, world)).toEqual([]);
});

test('old ones go when another one is taken, except what is pinned and what is needed', async () => {
  await take('base');
  const settings = { ...WANTED, snapshotKeep: { last: 1 } };
  await revert('base', WANTED);
  await revert('base', WANTED);
  await revert('base', WANTED);
  const [, first, second, third] = (await points()).map(({ name }) => name);
  await doing(async (context, step) => await editSnapshot(context, root, { name: first ?? '', pinned: true }, step));
  await revert(second ?? '', settings);
  const left = (await points()).map(({ name }) => name);
  expect(left).toEqual(['base', first, second, expect.stringContaining('before revert')]);
  expect(left).not.toContain(third);
  expect(await inconsistencies(root, world)).toEqual([]);
});

test('that cannot be taken before a deploy, since somebody else works on the environment, tells what to do', async () => {
  await using _held = await takeLock(prefixPaths(root).lock, { purpose: 'start' });
  await expect(
    doing(async (context, step) => await snapshotBefore(context, root, 'deploy', step), { snapshotBefore: ['deploy'] }),
  ).rejects.toMatchObject({
    code: 'conflict.locked',
    message: expect.stringMatching(/^No snapshot can be taken before the deploy.* is in use by start/) as string,
    hint: expect.stringContaining('lago --snapshot-before "" deploy') as string,
  });
});

test('what the init file says comes before the settings', async () => {
  const { record: path } = prefixPaths(root);
  const record = await readRecord(path);
  if (record === undefined) throw new Error('no record');
  await writeRecord(path, { ...record, snapshotKeep: { last: 2 } });
  const before = async (): Promise<void> =>
    await doing(async (context, step) => await snapshotBefore(context, root, 'vm', step), {
      snapshotBefore: ['vm', 'deploy'],
      snapshotKeep: { last: 1 },
    });
  for (let count = 0; count < 3; count++) await before();
  expect((await points()).map(({ name }) => name)).toEqual([
    expect.stringContaining('before change'),
    expect.stringContaining('before change'),
  ]);
});
