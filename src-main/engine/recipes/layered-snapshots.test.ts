import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { runChecked } from '../core/run.ts';
import { createLayer, fileBelow } from '../disk/layers.ts';
import { createOverlay } from '../disk/qemu-img.ts';
import { diskFilesOf } from '../libvirt/hypervisor-devices.fake.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { writeRecord } from '../prefix/record.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { destroyEnvironment } from './destroy.ts';
import { forkEnvironment } from './fork/fork.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { suspendEnvironment } from './suspend.ts';
import { createWorld, UUID, type World, type WorldHost, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;
const [VM0, VM1] = [domainName(UUID, 'vm0'), domainName(UUID, 'vm1')];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-layers-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function doing(work: (step: Step) => Promise<unknown>): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => void (await work(step))).done;
}
const start = async (...vms: string[]): Promise<void> =>
  await doing(async (step) => await startEnvironment(world.context, root, vms, step));
const stop = async (): Promise<void> => await doing(async (step) => await stopEnvironment(world.context, root, [], step));
const suspend = async (vm: string): Promise<void> => await doing(async (step) => await suspendEnvironment(world.context, root, [vm], step));
const take = async (name: string): Promise<void> => await doing(async (step) => await takeSnapshot(world.context, root, name, step));
const revert = async (name: string): Promise<void> =>
  await doing(async (step) => await revertSnapshot(world.context, root, name, undefined, step));
const remove = async (name: string): Promise<void> => await doing(async (step) => await removeSnapshot(world.context, root, name, step));
const fork = async (name: string, from = root): Promise<void> =>
  await doing(async (step) => await forkEnvironment(world.context, from, { name }, step));

function states(host: WorldHost = world): readonly string[] {
  return host.model.describe().domains.map(({ state }) => state);
}

/** Writes into the disk that a running VM has now, as its guest would. */
async function write(host: WorldHost, domain: string, pattern: string): Promise<void> {
  const file = diskFilesOf(host.model.domainXml(domain, false)).get('vda') ?? '';
  await runChecked(['qemu-io', '-f', 'qcow2', '-c', `write -P ${pattern} 0 64k`, file], `${file} could not be written.`);
}

/** Whether the disk that a running VM has now begins with this. */
async function reads(host: WorldHost, domain: string, pattern: string): Promise<boolean> {
  const file = diskFilesOf(host.model.domainXml(domain, false)).get('vda') ?? '';
  const { stdout } = await runChecked(['qemu-io', '-f', 'qcow2', '-c', `read -P ${pattern} 0 64k`, file], `${file} could not be read.`);
  return !stdout.includes('Pattern verification failed');
}

describe.each([
  ['background', []],
  ['pre-copy', ['background-snapshot']],
  ['paused', ['background-snapshot', 'kvm']],
] as const)('a snapshot by %s', (mechanism, lacks) => {
  beforeEach(async () => {
    for (const capability of lacks) world.lacks.add(capability);
    await start();
    world.model.remember(VM0, 'then');
    await write(world, VM0, '0x11');
  });

  it('keeps memory and disks of one moment, and brings them back as often as needed', async () => {
    await take('base');
    expect([(await readPrefix(root)).record?.snapshots[0]?.measured?.mechanism, states()]).toEqual([mechanism, ['running', 'running']]);
    for (const again of ['0x22', '0x33']) {
      world.model.remember(VM0, 'later');
      await write(world, VM0, again);
      await revert('base');
      expect([world.model.memoryOf(VM0), await reads(world, VM0, '0x11'), states()]).toEqual(['then', true, ['running', 'running']]);
    }
    await stop();
    await revert('base');
    expect([world.model.memoryOf(VM0), await inconsistencies(root, world)]).toEqual(['then', []]);
  });

  it.each(['vm0', 'vm1'])('of which the memory of %s breaks off leaves nothing, and the VMs run on', async (vm) => {
    world.monitor.breaks.add(domainName(UUID, vm));
    await expect(take('base')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect([states(), world.model.memoryOf(VM0), await reads(world, VM0, '0x11')]).toEqual([['running', 'running'], 'then', true]);
    expect([await inconsistencies(root, world), (await readPrefix(root)).record]).toMatchObject([[], { snapshots: [], pending: null }]);
    world.monitor.breaks.clear();
    await take('base');
    expect(await inconsistencies(root, world)).toEqual([]);
  });

  it('that cannot be written leaves nothing, and the VMs run on', async () => {
    // In place of the file is a folder.
    await mkdir(join(root, 'snapshots', 'base', 'vm1.memory'), { recursive: true });
    await expect(take('base')).rejects.toThrow();
    expect([states(), await reads(world, VM0, '0x11'), await inconsistencies(root, world)]).toEqual([['running', 'running'], true, []]);
  });

  it('during which a VM ends leaves the others as they were', async () => {
    const forget = world.model.onEvent((event) => {
      if (event.type === 'domain' && event.event === 'suspended' && event.name === VM1) queueMicrotask(() => world.model.crashDomain(VM1));
    });
    await expect(take('base')).rejects.toThrow('VM vm1 ended while the snapshot was taken.');
    forget();
    expect(world.model.describe().domains.find(({ name }) => name === VM0)?.state).toBe('running');
    await start();
    expect([states(), await inconsistencies(root, world)]).toEqual([['running', 'running'], []]);
  });

  it('lets a suspended VM stay suspended', async () => {
    await suspend('vm0');
    await take('base');
    expect([states(), world.model.memoryOf(VM0)]).toEqual([['paused', 'running'], 'then']);
    await stop();
    await revert('base');
    expect([states(), world.model.memoryOf(VM0)]).toEqual([['running', 'running'], 'then']);
  });
});

describe('a snapshot of VMs of which some are off', () => {
  it('keeps the disks of those, and none of memory when all are off', async () => {
    await take('cold');
    await start('vm0');
    await take('warm');
    const { record } = await readPrefix(root);
    expect(record?.snapshots.map(({ vms }) => vms)).toEqual([
      { vm0: 'disk', vm1: 'disk' },
      { vm0: 'memory', vm1: 'disk' },
    ]);
    expect(['vm0', 'vm1'].map((vm) => existsSync(join(root, 'snapshots', 'warm', `${vm}.memory`)))).toEqual([true, false]);
    await revert('cold');
    expect([world.up, await inconsistencies(root, world)]).toEqual([false, []]);
  });
});

describe('a revert of which one VM cannot go on', () => {
  it('says that it is off, with its disks as they were, and the others are back', async () => {
    await start();
    await take('base');
    await write(world, VM0, '0x22');
    const before = diskFilesOf(world.model.domainXml(VM0, false)).get('vda');
    world.faults.failOn('restoreDomain', 1);
    await expect(revert('base')).rejects.toMatchObject({
      message: expect.stringMatching(/^Not reverted, and off now with their disks as they were: vm\d\. Reverted: vm\d\./) as string,
    });
    expect(states()).toEqual(['running']);
    const off = states().length === 1 && world.model.describe().domains[0]?.name === VM0 ? VM1 : VM0;
    await start();
    if (off === VM0) expect(diskFilesOf(world.model.domainXml(VM0, false)).get('vda')).toBe(before);
    expect([await inconsistencies(root, world), (await readPrefix(root)).record?.pending]).toEqual([[], null]);
  });
});

describe('a revert that does not come to the VMs', () => {
  it('leaves none of its layers, and the VMs run on', async () => {
    await start();
    await using image = await open(join(root, 'images', 'vm1_root.qcow2'), 'r+');
    await image.utimes(1, 1);
    await take('base');
    const images = async (): Promise<readonly string[]> => (await readdir(join(root, 'images'))).sort();
    const before = await images();
    // Its size of clusters, which only QEMU looks at: nothing can be put on it.
    await image.write(Buffer.from([0, 0, 0, 1]), 0, 4, 20);
    await image.utimes(1, 1);
    await expect(revert('base')).rejects.toThrow(/A layer could not be put on/);
    expect([await images(), states(), (await readPrefix(root)).record?.pending]).toEqual([before, ['running', 'running'], null]);
  });

  it('because it is killed before leaves none after the next verb', async () => {
    await start();
    await take('base');
    const layer = { path: join(root, 'images', 'vm0_root.layer-9.qcow2'), below: join(root, 'images', 'vm0_root.qcow2') };
    await createLayer({ ...layer, belowFormat: 'qcow2' });
    const { record } = await readPrefix(root);
    if (record === undefined) throw new Error('no record');
    const vms = { vms: ['vm0', 'vm1'], running: ['vm0', 'vm1'], hostWasUp: true };
    await writeRecord(join(root, 'lago-desktop.json'), {
      ...record,
      pending: { kind: 'revert', name: 'base', step: 'preparing', since: 1, ...vms },
    });
    await start();
    expect([await inconsistencies(root, world), (await readPrefix(root)).record?.pending]).toEqual([[], null]);
  });
});

describe('taking back a snapshot of a VM whose QEMU has locked up', () => {
  it('says so, and what to do', async () => {
    await start();
    const { record } = await readPrefix(root);
    if (record === undefined) throw new Error('no record');
    const vms = { vms: ['vm0', 'vm1'], running: ['vm0', 'vm1'], hostWasUp: true };
    await writeRecord(join(root, 'lago-desktop.json'), {
      ...record,
      pending: { kind: 'snapshot', name: 'lost', step: 'layering', since: 1, ...vms },
    });
    const late = new EngineError('hypervisor.failed', 'libvirt did not answer in time.', { details: { timeoutMs: 30_000 } });
    world.faults.failOn('monitorCommand', 1, late);
    await expect(take('next')).rejects.toMatchObject({
      message: expect.stringMatching(/^QEMU of VM vm\d does not respond/) as string,
      hint: expect.stringMatching(/"lago stop vm\d"/) as string,
    });
    await take('next');
    expect([await inconsistencies(root, world), (await readPrefix(root)).record?.pending]).toEqual([[], null]);
  });
});

describe('deleting snapshots', () => {
  it('of a tree leaves the others as they are, whether VMs run or not', async () => {
    await start('vm0');
    for (const pattern of ['0x11', '0x22', '0x33']) {
      await write(world, VM0, pattern);
      await take(pattern);
    }
    await revert('0x22');
    await write(world, VM0, '0x44');
    await take('branch');
    await remove('0x22');
    expect(await inconsistencies(root, world)).toEqual([]);
    await stop();
    await remove('0x11');
    for (const [name, pattern] of [
      ['0x33', '0x33'],
      ['branch', '0x44'],
    ] as const) {
      await revert(name);
      expect([name, await reads(world, VM0, pattern), await inconsistencies(root, world)]).toEqual([name, true, []]);
    }
  });
});

describe('deleting a snapshot of which a raw disk has the data', () => {
  it('leaves the branches on it as they are', async () => {
    const [raw, spec] = [join(root, 'images', 'vm0_root.raw'), join(root, 'virt', 'vm-vm0')];
    await writeFile(raw, Buffer.alloc(1024 * 1024));
    await rm(join(root, 'images', 'vm0_root.qcow2'));
    const text = await readFile(spec, 'utf8');
    await writeFile(spec, text.replace('vm0_root.qcow2', 'vm0_root.raw').replace('"format": "qcow2"', '"format": "raw"'));
    await start('vm0');
    await take('first');
    await write(world, VM0, '0x11');
    await take('second');
    await write(world, VM0, '0x22');
    await take('branch');
    await revert('second');
    // What "second" has is written into the raw file, and the branch follows.
    await remove('first');
    for (const [name, pattern] of [
      ['branch', '0x22'],
      ['second', '0x11'],
    ] as const) {
      await revert(name);
      expect([name, await reads(world, VM0, pattern), await inconsistencies(root, world)]).toEqual([name, true, []]);
    }
    await take('third');
    expect([await reads(world, VM0, '0x11'), await inconsistencies(root, world)]).toEqual([true, []]);
  });
});

describe('merging layers', () => {
  it('waits for the work on a disk that a killed command has begun', async () => {
    await start();
    await take('base');
    const session = await world.context.hosts.find(await readPrefix(root));
    if (session === undefined) throw new Error('no host');
    const { blockJob, pullDisk } = session.hypervisor;
    let asked = 0;
    const begun: number[] = [];
    Object.assign(session.hypervisor, {
      blockJob: async (...how: Parameters<typeof blockJob>) =>
        ++asked <= 3 ? { kind: 'pull', done: 1, total: 2 } : await blockJob(...how),
      pullDisk: async (...how: Parameters<typeof pullDisk>) => {
        begun.push(asked);
        await pullDisk(...how);
      },
    });
    await remove('base');
    expect([begun.length, Math.min(...begun) > 3, await inconsistencies(root, world)]).toEqual([2, true, []]);
  });

  it.each(['pullDisk', 'commitDisk'] as const)('keeps all files when QEMU fails to (%s), and tries again', async (how) => {
    await start('vm0');
    await take('base');
    await write(world, VM0, '0x11');
    if (how === 'commitDisk') await take('more');
    const session = await world.context.hosts.find(await readPrefix(root));
    const work = session?.hypervisor[how];
    if (session === undefined || work === undefined) throw new Error('no host');
    // The job begins, and is gone without having changed anything.
    Object.assign(session.hypervisor, { [how]: async () => await Promise.resolve() });
    await expect(remove('base')).rejects.toMatchObject({
      code: 'hypervisor.failed',
      hint: expect.stringContaining('Nothing is lost') as string,
    });
    Object.assign(session.hypervisor, { [how]: work });
    await start('vm0');
    expect([await reads(world, VM0, '0x11'), await inconsistencies(root, world)]).toEqual([true, []]);
  });

  it('does not begin while another program works on a disk, and goes on when that has ended', async () => {
    await start();
    await take('base');
    world.model.startBlockJob(VM0, 'vda', 'copy');
    await expect(remove('base')).rejects.toMatchObject({
      code: 'conflict.taken',
      hint: expect.stringContaining(`${VM0} vda --abort`) as string,
    });
    world.model.endBlockJob(VM0, 'vda', false);
    await start();
    expect([(await readPrefix(root)).record?.snapshots, await inconsistencies(root, world)]).toEqual([[], []]);
  });
});

describe('what a killed comparison has left', () => {
  it('is removed by the next verb', async () => {
    const boot = '00000000-0000-0000-0000-000000000000';
    await mkdir(join(root, 'snapshots', `.compare.1-1-${boot}-0123456789ab.lago-part`, 'before'), { recursive: true });
    await take('base');
    expect(await inconsistencies(root, world)).toEqual([]);
  });
});

describe('a layer that was killed while it was created', () => {
  it('is removed by the next deletion', async () => {
    await take('base');
    await writeFile(join(root, 'images', 'vm0_root.layer-9.qcow2'), '');
    await remove('base');
    expect(await inconsistencies(root, world)).toEqual([]);
  });
});

describe('a fork', () => {
  it('goes on with the same memory and disks, and lives on when the original and a fork between are gone', async () => {
    await start('vm0');
    world.model.remember(VM0, 'then');
    await write(world, VM0, '0x11');
    await take('base');
    const hostOf = async (name: string): Promise<readonly [WorldHost, string]> => {
      const prefix = await readPrefix(join(folder, name));
      return [world.hostOf(prefix), domainName(prefix.uuid, 'vm0')];
    };
    await fork('second');
    await fork('third', join(folder, 'second'));
    const [second, inSecond] = await hostOf('second');
    // Of what libvirt knows, all of it belongs to the fork.
    const xml = second.model.domainXml(inSecond, false);
    expect(xml).toContain(`prefix='${(await readPrefix(join(folder, 'second'))).uuid}'`);
    expect(xml).not.toContain((await readPrefix(root)).uuid);
    await write(second, inSecond, '0x22');
    expect([await reads(world, VM0, '0x11'), states()]).toEqual([true, ['running']]);
    for (const gone of [root, join(folder, 'second')]) await doing(async (step) => await destroyEnvironment(world.context, gone, step));
    const [third, inThird] = await hostOf('third');
    expect([third.model.memoryOf(inThird), await reads(third, inThird, '0x11'), states(third)]).toEqual(['then', true, ['running']]);
    // What only the others needed is merged with the next deletion.
    root = join(folder, 'third');
    await take('base');
    await remove('base');
    expect([await inconsistencies(root, third), await reads(third, inThird, '0x11')]).toEqual([[], true]);
    expect(await readdir(folder)).toEqual(expect.not.arrayContaining(['demo', 'second']));
  });

  it('has its own file where a disk of the original is on an absolute path in its folder, and lives on without that', async () => {
    const disk = join(root, 'images', 'vm0_root.qcow2');
    const unpacked = join(root, 'ova', 'vm0', 'disk:1.qcow2');
    await mkdir(join(root, 'ova', 'vm0'), { recursive: true });
    await rename(disk, unpacked);
    await createOverlay({ path: disk, backing: unpacked, backingFormat: 'qcow2' });
    await start('vm0');
    await write(world, VM0, '0x11');
    await take('base');
    const before = await readFile(disk);
    await fork('second');
    await fork('third', join(folder, 'second'));
    expect((await readFile(disk)).equals(before)).toBe(true);
    const [second, third] = ['second', 'third'].map((name) => join(folder, name, 'images', 'vm0_root.qcow2'));
    expect(await fileBelow(second ?? '')).toMatchObject({ path: join(folder, 'second', 'ova', 'vm0', 'disk:1.qcow2'), fixed: false });
    // The copy can be linked again.
    expect((await stat(third ?? '')).ino).toBe((await stat(second ?? '')).ino);
    for (const gone of [root, join(folder, 'second')]) await doing(async (step) => await destroyEnvironment(world.context, gone, step));
    root = join(folder, 'third');
    const prefix = await readPrefix(root);
    const [host, domain] = [world.hostOf(prefix), domainName(prefix.uuid, 'vm0')];
    expect(await reads(host, domain, '0x11')).toBe(true);
    await take('base');
    await remove('base');
    expect([await reads(host, domain, '0x11'), await inconsistencies(root, host)]).toEqual([true, []]);
  });
});
