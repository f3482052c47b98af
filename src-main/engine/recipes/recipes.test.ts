import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import { silentLog } from '../core/log.ts';
import { type Operation, type Step, startOperation } from '../core/operation.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { domainName, readPrefix, writeSpecs } from '../prefix/prefix.ts';
import { type PrefixRecord, writeRecord } from '../prefix/record.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import { cleanUpEnvironment, destroyEnvironment } from './destroy.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, OLD_SNAPSHOT, type PrefixOptions, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;
let options: PrefixOptions = {};

function operation(work: (step: Step) => Promise<void>): Operation<void> {
  return startOperation({ kind: 'start', label: 'test' }, async (step) => await work(step));
}
const start = (...vms: string[]): Promise<void> => operation(async (step) => await startEnvironment(world.context, root, vms, step)).done;
const stop = (...vms: string[]): Promise<void> => operation(async (step) => await stopEnvironment(world.context, root, vms, step)).done;
const snapshot = (name: string): Promise<void> => operation(async (step) => await takeSnapshot(world.context, root, name, step)).done;
const revert = (name: string, first?: string): Promise<void> =>
  operation(async (step) => await revertSnapshot(world.context, root, name, first, step)).done;

async function stateNow(): Promise<PrefixState> {
  const prefix = await readPrefix(root);
  return await prefixState(
    prefix,
    world.context.hosts,
    await observe(prefix, world.context.hosts, { plugins: world.context.plugins, log: silentLog }),
  );
}

async function shutDownByGuest(): Promise<readonly string[]> {
  return (await stateNow()).vms.filter((vm) => vm.shutDownByGuest === true).map((vm) => vm.name);
}

/** The state as shown to users, abbreviated. */
async function seen(): Promise<Record<string, string>> {
  const state = await stateNow();
  return Object.fromEntries([...state.vms.map((vm) => [vm.name, vm.status]), ...state.networks.map((net) => [net.name, net.status])]);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-recipes-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Runs `work` with its n-th change failing, for every n, and calls `check` after each. */
async function failAtEachStep(
  prepare: () => Promise<void>,
  work: () => Promise<void>,
  when: 'before' | 'after',
  check: (before: unknown) => Promise<void>,
): Promise<number> {
  for (let n = 1; ; n++) {
    world = createWorld();
    await rm(root, { recursive: true, force: true });
    await writePrefix(root, options);
    await prepare();
    const before = world.describe();
    world.faults.clear();
    world.faults.failOn('any', n, new Error(`injected ${n}`), when);
    const failed = await work().then(
      () => false,
      () => true,
    );
    if (!failed) return n - 1;
    await check(before);
  }
}

describe('a VM that crashed', () => {
  it('is distinguished from one that its guest or a user shut down', async () => {
    await start();
    world.model.shutdownDomain(domainName(UUID, 'vm0'));
    expect(await seen()).toMatchObject({ vm0: 'down', vm1: 'running' });
    expect(await shutDownByGuest()).toEqual(['vm0']);
    world.model.crashDomain(domainName(UUID, 'vm1'));
    expect(await seen()).toMatchObject({ vm0: 'down', vm1: 'crashed' });
    await stop();
    expect(await shutDownByGuest()).toEqual([]);
  });

  it.each([
    ['started', start, 'running'],
    ['stopped', async () => await stop('vm0'), 'down'],
    ['reverted', async () => await revert('s'), 'running'],
  ] as const)('stays so until it is %s', async (_, act, status) => {
    await start();
    await snapshot('s');
    world.model.crashDomain(domainName(UUID, 'vm0'));
    expect(await seen()).toMatchObject({ vm0: 'crashed' });
    await act();
    expect(await seen()).toMatchObject({ vm0: status });
  });
});

describe('start and stop', () => {
  it('brings everything up, leaves alone what is up, and takes everything down', async () => {
    await start();
    expect(await seen()).toEqual({ vm0: 'running', vm1: 'running', net0: 'up', net1: 'up' });
    const changes = world.faults.changes;
    await start();
    expect(world.faults.changes).toBe(changes);
    await stop();
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'down', net0: 'down', net1: 'down' });
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
  });

  it('starts and stops single VMs with the networks they need', async () => {
    await start('vm1');
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'running', net0: 'up', net1: 'down' });
    await start('vm0');
    await stop('vm0');
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'running', net0: 'up', net1: 'down' });
    await expect(start('vmX')).rejects.toMatchObject({ code: 'vm.missing', hint: 'It has: vm0, vm1.' });
  });

  it('starts VMs after those that they are to follow', async () => {
    const { paths, specs } = await readPrefix(root);
    await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => (vm.name === 'vm0' ? { ...vm, 'start-after': ['vm1'] } : vm)) });
    await start();
    const started = world.faults.calls.filter((call) => call.method === 'startDomain').map((call) => call.subject);
    expect(started).toEqual([domainName(UUID, 'vm1'), domainName(UUID, 'vm0')]);
    await stop();
    await start('vm0');
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'down' });
  });

  it('lets guests run when QEMU runs for all of them, and a single one at once', async () => {
    const sequence = (): string[] => {
      const calls = world.faults.calls.filter(({ method }) => method === 'startDomain' || method === 'resumeDomain');
      return calls.map(({ method }) => method);
    };
    await start();
    expect(sequence()).toEqual(['startDomain', 'startDomain', 'resumeDomain', 'resumeDomain']);
    await stop('vm0');
    await start();
    expect(sequence().slice(4)).toEqual(['startDomain']);
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'running' });
  });

  it('does not show guests that are held back as paused', async () => {
    world.faults.delay('resumeDomain', 200);
    let ended = false;
    const starting = start().finally(() => (ended = true));
    const [states, shown] = [new Set<string>(), new Set<string>()];
    while (!ended) {
      const { vms } = await stateNow();
      for (const vm of vms) shown.add(vm.status);
      const session = await world.context.hosts.find(await readPrefix(root));
      for (const { state } of (await session?.hypervisor.listDomains()) ?? []) states.add(state);
    }
    await starting;
    expect(states).toContain('paused');
    expect(shown).toContain('down');
    expect(shown).not.toContain('paused');
  });

  it('warns when the memory does not fit this machine, and starts them all the same', async () => {
    const { paths, specs } = await readPrefix(root);
    await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => ({ ...vm, memory: 2 ** 30 })) });
    const starting = operation(async (step) => await startEnvironment(world.context, root, [], step));
    await starting.done;
    expect(starting.log()).toEqual([expect.stringMatching(/^The 2 VMs may together use .* are available on this machine\./)]);
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'running' });
  });

  it.each(['before', 'after'] as const)('leaves the host as it was when any step fails (%s the effect)', async (when) => {
    const steps = await failAtEachStep(
      async () => {},
      async () => await start(),
      when,
      async (before) => {
        expect(world.describe()).toEqual(before);
        await Promise.resolve();
      },
    );
    expect(steps).toBeGreaterThanOrEqual(6);
  });

  it('keeps a VM that was running before when starting another one fails', async () => {
    await start('vm1');
    const before = world.describe();
    world.faults.failOn('startDomain', 1);
    await expect(start()).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect(world.describe()).toEqual(before);
  });

  it('undoes when it is cancelled', async () => {
    world.faults.delay('startDomain', 500);
    const running = operation(async (step) => await startEnvironment(world.context, root, [], step));
    await new Promise((resolve) => setTimeout(resolve, 150));
    running.cancel();
    await expect(running.done).rejects.toMatchObject({ code: 'cancelled' });
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
  });

  it('lets only one command at a time change a prefix', async () => {
    world.faults.delay('startDomain', 1500);
    const first = start();
    await new Promise((resolve) => setTimeout(resolve, 200));
    await expect(stop()).rejects.toMatchObject({
      code: 'conflict.locked',
      message: expect.stringContaining('in use by start (pid') as string,
    });
    await first;
  });
});

describe.each(['internal', 'layers'] as const)('snapshots, %s,', (kind) => {
  beforeEach(async () => {
    options = { internalSnapshots: kind === 'internal' };
    await rm(root, { recursive: true });
    await writePrefix(root, options);
  });
  afterEach(() => {
    options = {};
  });
  const records = async (): Promise<PrefixRecord['snapshots']> =>
    ((await readPrefix(root)).record?.snapshots ?? []).filter(({ name }) => name !== OLD_SNAPSHOT);

  it('saves and restores all VMs together, with memory if they were running', async () => {
    await start('vm0');
    await snapshot('base');
    const prefix = await readPrefix(root);
    expect(prefix.record?.current).toBe('base');
    expect(await records()).toMatchObject([{ name: 'base', kind, parent: null, vms: { vm0: 'memory', vm1: 'disk' } }]);
    expect(prefix.specs.vms.map((vm) => Object.keys(vm.snapshots))).toEqual([['base'], ['base']]);
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'down' });
    await start();
    await revert('base');
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'down' });
  });

  it("restores a stopped environment to its running state, from the prefix's files", async () => {
    await start();
    await snapshot('base');
    await stop();
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
    await revert('base');
    expect(await seen()).toEqual({ vm0: 'running', vm1: 'running', net0: 'up', net1: 'up' });
  });

  it('can save the current state first, and records parents', async () => {
    await start();
    await snapshot('one');
    await snapshot('two');
    await revert('one', 'before revert');
    const { record } = await readPrefix(root);
    expect((await records()).map(({ name, parent }) => [name, parent])).toEqual([
      ['one', null],
      ['two', 'one'],
      ['before revert', 'two'],
    ]);
    expect(record?.current).toBe('one');
  });

  it('deletes one and makes its children depend on its parent', async () => {
    await start();
    for (const name of ['one', 'two', 'three']) await snapshot(name);
    await operation(async (step) => await removeSnapshot(world.context, root, 'two', step)).done;
    const { specs } = await readPrefix(root);
    expect((await records()).map(({ name, parent }) => [name, parent])).toEqual([
      ['one', null],
      ['three', 'one'],
    ]);
    expect(Object.keys(specs.vms[0]?.snapshots ?? {})).toEqual(['one', 'three']);
    await stop();
    await revert('three');
    expect(await seen()).toMatchObject({ vm0: 'running' });
  });

  it.each(['before', 'after'] as const)('is all or nothing when any step fails (%s the effect)', async (when) => {
    const steps = await failAtEachStep(
      async () => await start('vm0'),
      async () => await snapshot('base'),
      when,
      async (before) => {
        expect(world.describe()).toEqual(before);
        const prefix = await readPrefix(root);
        expect([await records(), prefix.record?.current]).toEqual([[], null]);
        expect(await readdir(join(root, 'snapshots')).catch(() => [])).toEqual([]);
      },
    );
    expect(steps).toBeGreaterThanOrEqual(4);
  });

  it('names the VMs that could not be reverted', async () => {
    await start();
    await snapshot('base');
    world.faults.failOn(kind === 'internal' ? 'revertSnapshot' : 'destroyDomain', 2);
    await expect(revert('base')).rejects.toMatchObject({
      code: 'hypervisor.failed',
      message: expect.stringMatching(/^Not reverted and unchanged: vm\d\. Reverted: vm\d\./) as string,
    });
  });

  it.each([
    ['../x', 'input.invalid'],
    ['', 'input.invalid'],
    ['a/b', 'input.invalid'],
    ['<x/>', 'input.invalid'],
    ['base', 'snapshot.exists'],
  ])('refuses the name %j with %s', async (name, code) => {
    await start();
    await snapshot('base');
    const before = world.describe();
    await expect(snapshot(name)).rejects.toMatchObject({ code });
    expect(world.describe()).toEqual(before);
  });

  it('says which snapshots there are', async () => {
    await expect(revert('nope')).rejects.toMatchObject({ code: 'snapshot.missing' });
  });
});

describe('raw disks', () => {
  const makeRaw = async (): Promise<void> => {
    const prefix = await readPrefix(root);
    const vms = prefix.specs.vms.map((vm) => ({ ...vm, disks: vm.disks.map((disk) => ({ ...disk, format: 'raw' })) }));
    await writeSpecs(prefix.paths, { ...prefix.specs, vms });
  };

  it('cannot be saved in an internal snapshot, which is said', async () => {
    await rm(root, { recursive: true });
    await writePrefix(root, { internalSnapshots: true });
    await makeRaw();
    await expect(snapshot('base')).rejects.toMatchObject({
      code: 'snapshot.unsupported',
      message: expect.stringContaining('disk "root" is raw') as string,
    });
  });

  it('get a layer', async () => {
    await makeRaw();
    await snapshot('base');
    const { specs } = await readPrefix(root);
    expect(specs.vms.map(({ disks }) => disks[0])).toMatchObject([
      { format: 'qcow2', path: '$LAGO_PREFIX_PATH/images/vm0_root.layer-1.qcow2' },
      { format: 'qcow2', path: '$LAGO_PREFIX_PATH/images/vm1_root.layer-1.qcow2' },
    ]);
    await revert('base');
  });
});

describe('cleanup and destroy', () => {
  const destroy = (): Promise<void> => operation(async (step) => await destroyEnvironment(world.context, root, step)).done;

  it('cleanup stops everything and keeps the files; destroy works after it', async () => {
    await start();
    await operation(async (step) => await cleanUpEnvironment(world.context, root, step)).done;
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
    expect(await readFile(prefixPaths(root).uuid, 'utf8')).toBe(UUID);
    await expect(start()).rejects.toMatchObject({ code: 'prefix.missing' });
    await destroy();
    expect(await readdir(folder)).toEqual([]);
  });

  it('destroys a prefix whose specs are damaged, and ends its host', async () => {
    await start();
    await writeFile(prefixPaths(root).env, '{');
    await destroy();
    expect(await readdir(folder)).toEqual([]);
    expect(world.up).toBe(false);
  });

  describe('of one on another machine that does not answer', () => {
    const unusable = new EngineError('host.unusable', 'The machine me@gone cannot be asked.', {
      details: { reason: 'machine' },
      hint: 'Check it.',
    });

    beforeEach(async () => {
      const { paths, record } = await readPrefix(root);
      if (record === undefined) throw new Error('no record');
      await writeRecord(paths.record, { ...record, host: { kind: 'remote', uri: 'ssh://me@gone', uplink: 'none' } });
      const hosts = {
        ...world.context.hosts,
        find: async () => await Promise.reject(unusable),
        stop: async () => await Promise.reject(unusable),
      };
      world = { ...world, context: { ...world.context, hosts } };
    });

    it('says how to remove what is here, and removes nothing', async () => {
      const hint = 'Check it. If that machine is gone for good, “lago destroy --forget” removes what is here.';
      await expect(destroy()).rejects.toMatchObject({ code: 'host.unusable', hint });
      expect((await readPrefix(root)).uuid).toBe(UUID);
    });

    it('removes what is here when told to forget it, and says what stays there', async () => {
      const running = operation(async (step) => await destroyEnvironment(world.context, root, step, { forget: true }));
      await running.done;
      expect(await readdir(folder)).toEqual([]);
      expect(running.log()).toEqual([expect.stringContaining(`stay there, in ~/.local/share/lago/remote/${UUID}`)]);
    });
  });

  it('refuses a half-made one, with a hint', async () => {
    const paths = prefixPaths(root);
    const { record } = await readPrefix(root);
    if (record === undefined) throw new Error('no record');
    await writeRecord(paths.record, { ...record, phase: 'creating' });
    await expect(start()).rejects.toMatchObject({ code: 'prefix.missing', hint: expect.stringContaining('destroy') as string });
    await destroy();
    expect(await readdir(folder)).toEqual([]);
  });
});
