import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import { silentLog } from '../core/log.ts';
import { type Operation, type Step, startOperation } from '../core/operation.ts';
import type { EngineSettings } from '../engine.ts';
import type { Host } from '../host/host.ts';
import { createFakeHypervisor, FakeFaults } from '../libvirt/fake.ts';
import { FakeModel } from '../libvirt/fake-model.ts';
import { createRegistry } from '../plugins/registry.ts';
import { cleanUpEnvironment, destroyEnvironment } from './destroy.ts';
import { prefixPaths } from './layout.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { readPrefix, writeSpecs } from './prefix.ts';
import type { RecipeContext } from './recipe.ts';
import { writeRecord } from './record.ts';
import type { HostAccess, Session } from './session.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { observe, prefixState } from './state.ts';

const UUID = 'aaaabbbbccccddddeeeeffff00001111';
let folder: string;
let root: string;
let world: World;

/** A private host in memory: a model of libvirt and of bridges that vanish when the host stops. */
interface World {
  readonly context: RecipeContext;
  readonly faults: FakeFaults;
  model: FakeModel;
  bridges: Set<string>;
  up: boolean;
  describe(): unknown;
}

function createWorld(): World {
  const faults = new FakeFaults();
  let session: Session | undefined;
  const host: Host = {
    kind: 'embedded',
    uri: 'fake:///',
    accelerator: 'tcg',
    uplink: 'none',
    dnsmasqAsRoot: true,
    socketDir: '/run/fake',
    dial: async () => await Promise.reject(new Error('nobody dials here')),
    listen: async () => await Promise.reject(new Error('nobody listens here')),
    run: async (argv) => {
      const [, action, verb, name = ''] = argv[1] === '-o' ? ['ip', 'show', 'show', argv[5]] : [argv[0], argv[1], argv[2], argv[3]];
      if (verb === 'add') self.bridges.add(name);
      if (verb === 'del') self.bridges.delete(name);
      const known = self.bridges.has(argv.includes('dev') ? (argv[argv.indexOf('dev') + 1] ?? '') : name);
      return await Promise.resolve({
        code: verb === 'show' && !known ? 1 : 0,
        signal: null,
        stdout: known ? name : '',
        stderr: action === '' ? '' : '',
      });
    },
  };
  const hosts: HostAccess = {
    async open() {
      self.up = true;
      session ??= { host, hypervisor: createFakeHypervisor({ model: self.model, faults }) };
      return await Promise.resolve(session);
    },
    find: async () => await Promise.resolve(self.up ? session : undefined),
    async stop() {
      self.up = false;
      session = undefined;
      self.model = new FakeModel();
      self.bridges = new Set();
      await Promise.resolve();
    },
    summary: (_, open) => ({
      kind: 'embedded',
      uri: 'fake:///',
      status: open === undefined ? 'down' : 'up',
      accelerator: 'tcg',
      uplink: 'none',
      problem: null,
    }),
    [Symbol.asyncDispose]: async () => await Promise.resolve(),
  };
  const self: World = {
    context: { hosts, settings: {} as EngineSettings, resourcesDir: '/nowhere', plugins: createRegistry() },
    faults,
    model: new FakeModel(),
    bridges: new Set(),
    up: false,
    describe: () => ({ up: self.up, bridges: [...self.bridges], ...self.model.describe() }),
  };
  return self;
}

async function writePrefix(): Promise<void> {
  const paths = prefixPaths(root);
  for (const path of [paths.root, paths.virt, paths.images, paths.logs]) await mkdir(path, { recursive: true });
  await writeFile(paths.uuid, UUID);
  await writeFile(paths.initialized, '');
  await writeRecord(paths.record, {
    version: 2,
    phase: 'ready',
    host: { kind: 'embedded', uplink: 'none' },
    initFile: null,
    createdAt: 0,
    snapshots: [],
    current: null,
    pending: null,
  });
  const disk = (vm: string): object => ({ name: 'root', dev: 'vda', format: 'qcow2', path: `$LAGO_PREFIX_PATH/images/${vm}_root.qcow2` });
  await writeSpecs(paths, {
    nets: [
      NetSpec.parse({
        name: 'net0',
        type: 'nat',
        gw: '192.168.200.1',
        management: true,
        dhcp: { start: 100, end: 254 },
        mapping: { vm0: '192.168.200.2' },
      }),
      NetSpec.parse({ name: 'net1', type: 'bridge' }),
    ],
    vms: [
      VmSpec.parse({
        name: 'vm0',
        memory: 256,
        vcpu: 1,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.2' }, { net: 'net1' }],
        disks: [disk('vm0')],
      }),
      VmSpec.parse({
        name: 'vm1',
        memory: 256,
        vcpu: 1,
        mgmt_net: 'net0',
        nics: [{ net: 'net0', ip: '192.168.200.3' }],
        disks: [disk('vm1')],
      }),
    ],
  });
}

function operation(work: (step: Step) => Promise<void>): Operation<void> {
  return startOperation({ kind: 'start', label: 'test' }, async (step) => await work(step));
}
const start = (...vms: string[]): Promise<void> => operation(async (step) => await startEnvironment(world.context, root, vms, step)).done;
const stop = (...vms: string[]): Promise<void> => operation(async (step) => await stopEnvironment(world.context, root, vms, step)).done;
const snapshot = (name: string): Promise<void> => operation(async (step) => await takeSnapshot(world.context, root, name, step)).done;
const revert = (name: string, first?: string): Promise<void> =>
  operation(async (step) => await revertSnapshot(world.context, root, name, first, step)).done;

/** The state as views see it, in short. */
async function seen(): Promise<Record<string, string>> {
  const prefix = await readPrefix(root);
  const state = await prefixState(
    prefix,
    world.context.hosts,
    await observe(prefix, world.context.hosts, { plugins: world.context.plugins, log: silentLog }),
  );
  return Object.fromEntries([...state.vms.map((vm) => [vm.name, vm.status]), ...state.networks.map((net) => [net.name, net.status])]);
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-recipes-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix();
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

/** Runs `work` with the n-th change failing, for every n that it makes, and calls `check` after each. */
async function failAtEachStep(
  prepare: () => Promise<void>,
  work: () => Promise<void>,
  when: 'before' | 'after',
  check: (before: unknown) => Promise<void>,
): Promise<number> {
  for (let n = 1; ; n++) {
    world = createWorld();
    await rm(root, { recursive: true, force: true });
    await writePrefix();
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

describe('start and stop', () => {
  it('brings everything up, leaves what is up alone, and takes everything down', async () => {
    await start();
    expect(await seen()).toEqual({ vm0: 'running', vm1: 'running', net0: 'up', net1: 'up' });
    const changes = world.faults.changes;
    await start();
    expect(world.faults.changes).toBe(changes);
    await stop();
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'down', net0: 'down', net1: 'down' });
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
  });

  it('starts and stops single VMs with the networks that they need', async () => {
    await start('vm1');
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'running', net0: 'up', net1: 'down' });
    await start('vm0');
    await stop('vm0');
    expect(await seen()).toEqual({ vm0: 'down', vm1: 'running', net0: 'up', net1: 'down' });
    await expect(start('vmX')).rejects.toMatchObject({ code: 'vm.missing', hint: 'It has: vm0, vm1.' });
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

  it('lets one command at a time change a prefix', async () => {
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

describe('snapshots', () => {
  it('saves and restores all VMs together, with memory where they ran', async () => {
    await start('vm0');
    await snapshot('base');
    const prefix = await readPrefix(root);
    expect(prefix.record).toMatchObject({
      current: 'base',
      snapshots: [{ name: 'base', parent: null, vms: { vm0: 'memory', vm1: 'disk' } }],
    });
    expect(prefix.specs.vms.map((vm) => Object.keys(vm.snapshots))).toEqual([['base'], ['base']]);
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'down' });
    await start();
    await revert('base');
    expect(await seen()).toMatchObject({ vm0: 'running', vm1: 'down' });
  });

  it('brings a stopped environment back as it ran, from what the prefix keeps', async () => {
    await start();
    await snapshot('base');
    await stop();
    expect(world.describe()).toEqual({ up: false, bridges: [], domains: [], networks: [] });
    await revert('base');
    expect(await seen()).toEqual({ vm0: 'running', vm1: 'running', net0: 'up', net1: 'up' });
  });

  it('can keep the present first, and tells parents', async () => {
    await start();
    await snapshot('one');
    await snapshot('two');
    await revert('one', 'before revert');
    const { record } = await readPrefix(root);
    expect(record?.snapshots.map(({ name, parent }) => [name, parent])).toEqual([
      ['one', null],
      ['two', 'one'],
      ['before revert', 'two'],
    ]);
    expect(record?.current).toBe('one');
  });

  it('deletes one and hangs its children on its parent', async () => {
    await start();
    for (const name of ['one', 'two', 'three']) await snapshot(name);
    await operation(async (step) => await removeSnapshot(world.context, root, 'two', step)).done;
    const { record, specs } = await readPrefix(root);
    expect(record?.snapshots.map(({ name, parent }) => [name, parent])).toEqual([
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
        expect(prefix.record).toMatchObject({ snapshots: [], current: null });
        expect(await readdir(join(root, 'snapshots')).catch(() => [])).toEqual([]);
      },
    );
    expect(steps).toBeGreaterThanOrEqual(4);
  });

  it('names the VMs that could not be reverted', async () => {
    await start();
    await snapshot('base');
    world.faults.failOn('revertSnapshot', 2);
    await expect(revert('base')).rejects.toMatchObject({
      code: 'hypervisor.failed',
      message: expect.stringMatching(/^Not reverted: vm\d\. Reverted: vm\d\./) as string,
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

  it('says which snapshots there are, and which disk cannot be saved', async () => {
    await expect(revert('nope')).rejects.toMatchObject({ code: 'snapshot.missing' });
    const prefix = await readPrefix(root);
    const vms = prefix.specs.vms.map((vm) => ({ ...vm, disks: vm.disks.map((disk) => ({ ...disk, format: 'raw' })) }));
    await writeSpecs(prefix.paths, { ...prefix.specs, vms });
    await expect(snapshot('base')).rejects.toMatchObject({
      code: 'snapshot.unsupported',
      message: expect.stringContaining('disk "root" is raw') as string,
    });
  });
});

describe('cleanup and destroy', () => {
  const destroy = (): Promise<void> => operation(async (step) => await destroyEnvironment(world.context, root, async () => {}, step)).done;

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

  it('refuses one that is half-made, and says what to do', async () => {
    const paths = prefixPaths(root);
    const { record } = await readPrefix(root);
    if (record === undefined) throw new Error('no record');
    await writeRecord(paths.record, { ...record, phase: 'creating' });
    await expect(start()).rejects.toMatchObject({ code: 'prefix.missing', hint: expect.stringContaining('destroy') as string });
    await destroy();
    expect(await readdir(folder)).toEqual([]);
  });
});
