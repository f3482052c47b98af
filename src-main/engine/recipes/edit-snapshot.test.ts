import { statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RemovalChoice, RemovalPlan } from '../../../src-shared/snapshot/snapshot-plans.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import type { EditSnapshotInput } from '../../../src-shared/verbs.ts';
import { injectFault } from '../core/fault.ts';
import { silentLog } from '../core/log.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { readPrefix } from '../prefix/prefix.ts';
import type { PrefixRecord } from '../prefix/record.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import { planRemoval } from '../snapshot/removal-plan.ts';
import { planRevert } from '../snapshot/revert-plan.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { atEachPoint } from './each-point.test-support.ts';
import { editSnapshot } from './edit-snapshot.ts';
import { startEnvironment } from './lifecycle.ts';
import { recoverEnvironment } from './recover.ts';
import { pruneSnapshots, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, OLD_SNAPSHOT, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-points-'));
  root = join(folder, 'demo');
  await begin();
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function begin(): Promise<void> {
  await rm(root, { recursive: true, force: true });
  world = createWorld();
  await writePrefix(root);
}

async function doing(work: (step: Step) => Promise<void>): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await work(step)).done;
}
const start = async (...vms: string[]): Promise<void> =>
  await doing(async (step) => await startEnvironment(world.context, root, vms, step));
const take = async (name: string): Promise<void> => await doing(async (step) => await takeSnapshot(world.context, root, name, step));
const revert = async (name: string): Promise<void> =>
  await doing(async (step) => await revertSnapshot(world.context, root, name, undefined, step));
const edit = async (input: EditSnapshotInput): Promise<void> =>
  await doing(async (step) => await editSnapshot(world.context, root, input, step));
const prune = async (branch?: string): Promise<void> =>
  await doing(async (step) => await pruneSnapshots(world.context, root, branch, step));
const recover = async (): Promise<void> => await doing(async (step) => await recoverEnvironment(world.context, root, step));
const wrong = async (): Promise<readonly string[]> => await inconsistencies(root, world);
const record = async (): Promise<PrefixRecord | undefined> => (await readPrefix(root)).record;
const names = async (): Promise<readonly string[]> => ((await record())?.snapshots ?? []).map(({ name }) => name);

async function state(): Promise<PrefixState> {
  const prefix = await readPrefix(root);
  const { hosts, plugins } = world.context;
  return await prefixState(prefix, hosts, await observe(prefix, hosts, { plugins, log: silentLog }));
}

/** `base`, from it `left` with `left-2`, and from it `right`, which is current. */
async function tree(): Promise<void> {
  await begin();
  await start('vm0');
  for (const name of ['base', 'left', 'left-2']) await take(name);
  await revert('base');
  await take('right');
}

describe('what is known of a snapshot', () => {
  test('is changed in part, and shown', async () => {
    await take('base');
    await edit({ name: 'base', note: 'All up.\nAt last.', tags: ['good', 'v1.2', 'good'] });
    await edit({ name: 'base', pinned: true });
    expect((await state()).snapshots).toMatchObject([{ note: 'All up.\nAt last.', tags: ['good', 'v1.2'], pinned: true }]);
    await edit({ name: 'base', note: '', tags: [], pinned: false });
    expect((await state()).snapshots).toMatchObject([{ note: '', tags: [], pinned: false }]);
  });

  test.each<[string, Omit<EditSnapshotInput, 'name'>, string]>([
    ['a tag with spaces', { tags: ['not good'] }, 'input.invalid'],
    ['too many tags', { tags: Array.from({ length: 21 }, (_, at) => `t${at}`) }, 'input.invalid'],
    ['a long note', { note: 'x'.repeat(10_001) }, 'input.invalid'],
    ['a name that is a path', { rename: '../other' }, 'input.invalid'],
    ['the name of another one', { rename: 'other' }, 'snapshot.exists'],
  ])('%s is refused, and nothing is changed', async (_, change, code) => {
    await take('base');
    await take('other');
    const before = await record();
    await expect(edit({ name: 'base', ...change })).rejects.toMatchObject({ code });
    expect(await record()).toEqual(before);
  });

  test('of one that is not there is not changed', async () => {
    await expect(edit({ name: 'none', pinned: true })).rejects.toMatchObject({ code: 'snapshot.missing' });
  });
});

describe('renaming', () => {
  test('keeps what depends on it', async () => {
    await tree();
    await edit({ name: 'base', rename: 'first', note: 'The first.' });
    await edit({ name: 'right', rename: 'last' });
    expect(await wrong()).toEqual([]);
    expect(await record()).toMatchObject({
      pending: null,
      current: 'last',
      snapshots: [
        { name: 'first', parent: null, note: 'The first.' },
        { name: 'left', parent: 'first' },
        { name: 'left-2', parent: 'left' },
        { name: 'last', parent: 'first' },
      ],
    });
    await revert('first');
    expect(await wrong()).toEqual([]);
  });

  test('that is interrupted anywhere is finished by the next verb', async () => {
    const prepare = async (): Promise<void> => {
      await begin();
      await take('base');
      await take('next');
    };
    const work = async (): Promise<void> => await edit({ name: 'base', rename: 'first' });
    for (const how of ['fail', 'die'] as const) {
      const points = await atEachPoint(how, { prepare, work }, async (point) => {
        expect([point, (await state()).snapshots.flatMap(({ missing }) => missing)]).toEqual([point, []]);
        await recover();
        expect([point, await wrong(), (await record())?.pending]).toEqual([point, [], null]);
        expect([point, await names()]).toEqual([point, ['first', 'next']]);
      });
      expect(points).toBeGreaterThan(2);
    }
  });

  test('is not possible for one inside the disks, whose note can be changed', async () => {
    await rm(root, { recursive: true });
    await writePrefix(root, { internalSnapshots: true });
    await expect(edit({ name: OLD_SNAPSHOT, rename: 'new' })).rejects.toMatchObject({ code: 'snapshot.unsupported' });
    await edit({ name: OLD_SNAPSHOT, note: 'Old.' });
    expect((await record())?.snapshots).toMatchObject([{ name: OLD_SNAPSHOT, note: 'Old.' }]);
  });
});

describe('deleting several', () => {
  test('deletes a branch', async () => {
    await tree();
    await prune('left');
    expect([await names(), await wrong()]).toEqual([['base', 'right'], []]);
  });

  test('leaves what is pinned, except the one that is named', async () => {
    await tree();
    for (const name of ['left', 'left-2']) await edit({ name, pinned: true });
    await prune('left');
    expect([await names(), await wrong()]).toEqual([['base', 'left-2', 'right'], []]);
    expect((await record())?.snapshots[1]?.parent).toBe('base');
    await prune();
    expect([await names(), await wrong()]).toEqual([['left-2'], []]);
    expect(await record()).toMatchObject({ current: null, snapshots: [{ parent: null }] });
  });

  test('deletes all', async () => {
    await tree();
    await prune();
    expect([await names(), await wrong()]).toEqual([[], []]);
  });

  test('of a branch that is not there fails', async () => {
    await expect(prune('none')).rejects.toMatchObject({ code: 'snapshot.missing' });
  });

  test('that is interrupted anywhere is finished by the next verb', { timeout: 120_000 }, async () => {
    const points = await atEachPoint('die', { prepare: tree, work: async () => await prune('base') }, async (point) => {
      const begun = (await record())?.pending !== null;
      await recover();
      expect([point, await wrong(), (await record())?.pending]).toEqual([point, [], null]);
      expect([point, await names()]).toEqual([point, begun ? [] : ['base', 'left', 'left-2', 'right']]);
    });
    expect(points).toBeGreaterThan(2);
  });

  test('of internal ones deletes one after the other', async () => {
    await rm(root, { recursive: true });
    await writePrefix(root, { internalSnapshots: true });
    await take('new');
    await edit({ name: OLD_SNAPSHOT, pinned: true });
    await prune();
    expect([await names(), await wrong()]).toEqual([[OLD_SNAPSHOT], []]);
  });
});

describe('the plan of a deletion', () => {
  const plan = async (what: RemovalChoice): Promise<RemovalPlan> => await planRemoval(world.context, await readPrefix(root), what);

  test('names what goes, and changes nothing', async () => {
    await tree();
    const { specs, record: known } = await readPrefix(root);
    expect(await plan({ branch: 'left' })).toMatchObject({ snapshots: ['left', 'left-2'], merges: [] });
    expect(await plan({ name: 'right' })).toMatchObject({
      snapshots: ['right'],
      merges: [
        { vm: 'vm0', layers: 1 },
        { vm: 'vm1', layers: 1 },
      ],
    });
    expect(await plan({ unpinned: true })).toMatchObject({ snapshots: ['base', 'left', 'left-2', 'right'] });
    expect(await readPrefix(root)).toMatchObject({ specs, record: known });
    await expect(plan({ name: 'none' })).rejects.toMatchObject({ code: 'snapshot.missing' });
  });

  test('counts the memory, and what only a branch has', async () => {
    await tree();
    const memory = join(prefixPaths(root).snapshots, 'left-2', 'vm0.memory');
    const before = await plan({ branch: 'left' });
    const bytes = statSync(memory).blocks * 512;
    await rm(memory);
    expect(bytes).toBeGreaterThan(0);
    expect(before.bytes - (await plan({ branch: 'left' })).bytes).toBe(bytes);
    // What is below belongs to the present, too.
    expect(before.bytes).toBeGreaterThan(bytes);
  });
});

describe('the plan of a revert', () => {
  const plan = async (name: string): Promise<ReturnType<typeof planRevert>> => planRevert(await readPrefix(root), await state(), name);

  test('says how each VM goes on, and since when everything is lost', async () => {
    await start('vm0');
    await take('base');
    await take('next');
    const at = (await record())?.snapshots.map(({ createdAt }) => createdAt);
    expect(await plan('base')).toEqual({
      since: at?.[1],
      vms: [
        { vm: 'vm0', now: 'running', to: 'memory' },
        { vm: 'vm1', now: 'down', to: 'disk' },
      ],
      missing: [],
    });
    await revert('base');
    expect((await plan('base')).since).toBe((await record())?.revertedAt);
    await expect(plan('none')).rejects.toMatchObject({ code: 'snapshot.missing' });
  });

  test('names VMs whose files are gone', async () => {
    await start('vm0');
    await take('base');
    await rm(join(prefixPaths(root).snapshots, 'base', 'vm0.memory'));
    expect((await plan('base')).missing).toEqual(['vm0']);
  });
});

describe('the state of snapshots', () => {
  test('has the sizes of their files', async () => {
    await start('vm0');
    await take('base');
    await take('next');
    const [base, next] = (await state()).snapshots;
    expect(Object.keys(base?.sizes ?? {})).toEqual(['vm0', 'vm1']);
    expect(base?.sizes['vm0']?.memory).toBeGreaterThan(0);
    expect(next?.sizes['vm1']).toEqual({ disk: expect.toSatisfy((bytes: number) => bytes > 0), memory: 0 });
    expect([base?.missing, next?.missing]).toEqual([[], []]);
  });

  test('names VMs whose layers are gone, and only in the snapshots that need them', async () => {
    await take('base');
    await take('next');
    const [disk] = (await readPrefix(root)).specs.vms[1]?.snapshots['next'] ?? [];
    await rm(String(disk?.['path']).replace('$LAGO_PREFIX_PATH', root));
    expect((await state()).snapshots.map(({ missing }) => missing)).toEqual([[], ['vm1']]);
  });
});
