import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { injectFault } from '../core/fault.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { atEachPoint, type Tried } from './each-point.test-support.ts';
import { forkEnvironment } from './fork/fork.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { recoverEnvironment } from './recover.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, makeTestFolder, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let forked: string;
let world: World;
const VM0 = domainName(UUID, 'vm0');

beforeEach(async () => {
  folder = await makeTestFolder('layers');
  [root, forked] = [join(folder, 'demo'), join(folder, 'second')];
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function doing(work: (step: Step) => Promise<unknown>): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => void (await work(step))).done;
}
const start = async (...vms: string[]): Promise<void> =>
  await doing(async (step) => await startEnvironment(world.context, root, vms, step));
const stop = async (): Promise<void> => await doing(async (step) => await stopEnvironment(world.context, root, [], step));
const take = async (name: string): Promise<void> => await doing(async (step) => await takeSnapshot(world.context, root, name, step));
const revert = async (name: string): Promise<void> =>
  await doing(async (step) => await revertSnapshot(world.context, root, name, undefined, step));
const remove = async (name: string): Promise<void> => await doing(async (step) => await removeSnapshot(world.context, root, name, step));
const fork = async (snapshot?: string): Promise<void> =>
  await doing(async (step) => await forkEnvironment(world.context, root, { name: 'second', snapshot }, step));

/** One VM runs, and remembers something else than in the snapshot. */
async function oneRunning(): Promise<void> {
  await start('vm0');
  world.model.remember(VM0, 'then');
  await take('base');
  world.model.remember(VM0, 'now');
}

const VERBS: Readonly<Record<string, Tried>> = {
  'taking a snapshot': { prepare: async () => await start('vm0'), work: async () => await take('new') },
  'taking a snapshot of VMs that are off': { prepare: async () => await Promise.resolve(), work: async () => await take('new') },
  'a revert': { prepare: oneRunning, work: async () => await revert('base') },
  'a revert of VMs that are off': {
    prepare: async () => {
      await oneRunning();
      await stop();
    },
    work: async () => await revert('base'),
  },
  'deleting a snapshot': { prepare: oneRunning, work: async () => await remove('base') },
  'deleting an older snapshot': {
    prepare: async () => {
      await oneRunning();
      await take('newer');
    },
    work: async () => await remove('base'),
  },
  'a fork': { prepare: async () => await start('vm0'), work: async () => await fork() },
  'a fork of a snapshot': { prepare: oneRunning, work: async () => await fork('base') },
};

const NEXT: readonly (readonly [string, () => Promise<void>])[] = [
  ['start', start],
  ['take', async () => await take('after')],
  ['revert', async () => await revert('base')],
  ['delete', async () => await remove('base')],
  ['stop', stop],
  ['fork', async () => await doing(async (step) => await forkEnvironment(world.context, root, { name: 'third' }, step))],
];

/** The same in a new world each time. */
function inNewWorld({ prepare, work }: Tried, how: { readonly faultPoints: boolean }): Tried {
  return {
    async prepare() {
      await rm(folder, { recursive: true, force: true });
      world = createWorld();
      await writePrefix(root);
      await prepare();
      world.faults.faultPoints = how.faultPoints;
    },
    async work() {
      try {
        await work();
      } finally {
        world.faults.faultPoints = false;
      }
    },
  };
}

/** What is wrong with the environment and its fork, and what is unfinished. A fork that is whole first finishes what it has to. */
async function wrong(): Promise<readonly string[]> {
  const found = [...(await inconsistencies(root, world))];
  const { record } = await readPrefix(root);
  if (record?.pending) found.push(`unfinished ${record.pending.kind}`);
  if (!existsSync(forked)) return found;
  if (!existsSync(join(forked, 'initialized'))) return [...found, 'half a fork'];
  await doing(async (step) => await recoverEnvironment(world.context, forked, step));
  const fork = await readPrefix(forked);
  return [...found, ...(await inconsistencies(forked, world.hostOf(fork))).map((problem) => `fork: ${problem}`)];
}

/** What the running VM remembers. */
const remembered = (): string => (world.up ? world.model.memoryOf(VM0) : '');

describe.each(Object.entries(VERBS))('%s', { timeout: 120_000 }, (verb, tried) => {
  it('that is killed at any step is finished or taken back by the next verb', async () => {
    const points = await atEachPoint(
      'die',
      inNewWorld(tried, { faultPoints: ['taking a snapshot', 'a revert', 'a fork'].includes(verb) }),
      async (point, at) => {
        const [name, next] = NEXT[at % NEXT.length] ?? ['start', start];
        const error = await next().then(
          () => undefined,
          (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
        );
        if (error !== undefined) expect(`${point}, then ${name}: ${error}`).toMatch(/, then (revert|delete): demo has no snapshot "base"/);
        // A stop does not go on with a revert that has begun; the next start does.
        if (name === 'stop') await start();
        expect([verb, point, name, await wrong()]).toEqual([verb, point, name, []]);
      },
    );
    expect(points).toBeGreaterThan(3);
  });
});

describe.each(['taking a snapshot', 'a fork'])('%s', { timeout: 120_000 }, (verb) => {
  it('that fails at any step leaves everything as it was, and can be tried again', async () => {
    const tried = VERBS[verb] ?? VERBS['a fork'];
    if (tried === undefined) throw new Error(`no verb ${verb}`);
    const { prepare, work } = inNewWorld(tried, { faultPoints: false });
    let before: unknown;
    const again: Tried = {
      async prepare() {
        await prepare();
        before = [world.describe(), remembered()];
      },
      work,
    };
    const points = await atEachPoint('fail', again, async (point, at) => {
      expect([point, world.describe(), remembered()]).toEqual([point, ...(before as unknown[])]);
      // The forks are made, and only the moment that they began with could not be forgotten: the next verb does.
      if (existsSync(forked)) await start();
      else if (at % 3 === 0) await work();
      expect([point, await wrong()]).toEqual([point, []]);
    });
    expect(points).toBeGreaterThan(3);
  });
});

describe.each(['a revert', 'deleting an older snapshot'])('%s', { timeout: 120_000 }, (verb) => {
  it('that fails at any step is finished by the next try', async () => {
    const tried = VERBS[verb];
    if (tried === undefined) throw new Error(`no verb ${verb}`);
    const { prepare, work } = inNewWorld(tried, { faultPoints: false });
    const points = await atEachPoint('fail', { prepare, work }, async (point) => {
      const { record } = await readPrefix(root);
      if (record?.pending === null) expect([point, await wrong()]).toEqual([point, []]);
      await work();
      expect([point, await wrong(), remembered()]).toEqual([point, [], verb === 'a revert' ? 'then' : 'now']);
    });
    expect(points).toBeGreaterThan(3);
  });
});

describe('a fork of the present', () => {
  beforeEach(async () => {
    world = createWorld();
    await writePrefix(root);
    await start('vm0');
  });

  it('is written down before anything is made of it', async () => {
    const { hosts } = world.context;
    const known: unknown[] = [];
    let made: () => void = () => undefined;
    const isMade = new Promise<void>((resolve) => {
      made = resolve;
    });
    let looks = 0;
    const slow: typeof hosts = {
      ...hosts,
      async find(prefix, ...more) {
        // The snapshot begins when the fork's host is there already: before it, the fork looks for what is left behind, and for running VMs.
        if (prefix.paths.root === root && ++looks === 3) await isMade;
        return await hosts.find(prefix, ...more);
      },
      async open(prefix, ...more) {
        if (prefix.paths.root === forked) known.push((await readPrefix(root)).record?.pending?.forks);
        made();
        return await hosts.open(prefix, ...more);
      },
    };
    await doing(async (step) => await forkEnvironment({ ...world.context, hosts: slow }, root, { name: 'second' }, step));
    expect([known, await wrong()]).toEqual([[[forked]], []]);
  });

  it('that is refused leaves nothing unfinished', async () => {
    world.faults.failOn('monitorCommand');
    await expect(fork()).rejects.toThrow();
    expect([existsSync(forked), await wrong()]).toEqual([false, []]);
  });
});
