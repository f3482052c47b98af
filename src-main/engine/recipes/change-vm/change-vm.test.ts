import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { VmState } from '../../../../src-shared/state.ts';
import type { VmChange, VmChanged } from '../../../../src-shared/vm-change.ts';
import { injectFault } from '../../core/fault.ts';
import { silentLog } from '../../core/log.ts';
import { startOperation } from '../../core/operation.ts';
import { chainOf } from '../../libvirt/disk-files.fake.ts';
import { libvirtError } from '../../libvirt/hypervisor-faults.fake.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import { domainName, readPrefix } from '../../prefix/prefix.ts';
import { observe, prefixState } from '../../runtime/observed/state.ts';
import { inconsistencies } from '../consistency.test-support.ts';
import { startEnvironment, stopEnvironment } from '../lifecycle.ts';
import { recoverEnvironment } from '../recover.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from '../snapshots.ts';
import { createWorld, UUID, type World, writePrefix } from '../world.test-support.ts';
import { changeVm } from './change-vm.ts';

let folder: string;
let root: string;
let world: World;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-change-'));
  root = join(folder, 'demo');
  world = createWorld();
  world.context = { ...world.context, settings: { ...world.context.settings, templateStore: join(folder, 'store') } };
  await writePrefix(root);
});
afterEach(async () => {
  injectFault(undefined);
  await rm(folder, { recursive: true, force: true });
});

async function change(what: VmChange, vm = 'vm0'): Promise<VmChanged> {
  return await startOperation({ kind: 'vm', label: 'test' }, async (step) => await changeVm(world.context, root, vm, what, step)).done;
}
async function start(): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await startEnvironment(world.context, root, [], step)).done;
}
async function stop(): Promise<void> {
  await startOperation({ kind: 'stop', label: 'test' }, async (step) => await stopEnvironment(world.context, root, [], step)).done;
}
async function recover(): Promise<void> {
  await startOperation({ kind: 'recover', label: 'test' }, async (step) => await recoverEnvironment(world.context, root, step)).done;
}

/** Files of the prefix that say what the environment is, and what runs. */
async function everything(): Promise<unknown> {
  const { specs, record } = await readPrefix(root);
  const images = existsSync(join(root, 'images', 'added')) ? readdirSync(join(root, 'images', 'added')) : [];
  return { specs, pending: record?.pending, images, running: await running(), net: await network() };
}
async function vm0() {
  const [vm] = (await readPrefix(root)).specs.vms;
  if (vm === undefined) throw new Error('There is no VM.');
  return vm;
}
/** What views show of it. */
async function shown(): Promise<VmState | undefined> {
  const prefix = await readPrefix(root);
  const seen = await observe(prefix, world.context.hosts, { plugins: world.context.plugins, log: silentLog });
  return (await prefixState(prefix, world.context.hosts, seen)).vms[0];
}
/** Disks with their media, cards with their links, and memory of the running VM, in an order of their own. */
async function running(): Promise<readonly string[]> {
  const session = await world.context.hosts.find(await readPrefix(root));
  if (session === undefined) return [];
  const xml = await session.hypervisor.domainXml(domainName(UUID, 'vm0'));
  const devices = [...xml.matchAll(/<(disk|interface) .*?<\/\1>/gs)].map(([device]) =>
    [...device.matchAll(/mac address='([^']*)'|state='(down)'|source file='([^']*)'|target dev='([^']*)'/g)]
      .map((found) => found.slice(1).join(''))
      .sort(),
  );
  const { memoryKiB } = await session.hypervisor.domainInfo(domainName(UUID, 'vm0'));
  return [...devices.map((device) => device.join(' ')).sort(), `${memoryKiB / 1024} MiB`];
}
/** Reservations and names of the running management network. */
async function network(): Promise<readonly string[]> {
  const session = await world.context.hosts.find(await readPrefix(root));
  if (session === undefined) return [];
  const xml = await session.hypervisor.networkXml(networkName(UUID, 'net0'));
  return [...xml.matchAll(/<host [^>]*>|<hostname>[^<]*/g)].map(([entry]) => entry).sort();
}

describe('links', () => {
  it('unplugs and plugs in a card of a VM that runs', async () => {
    await start();
    await change({ kind: 'link', nic: 'eth0', link: 'down' });
    expect((await vm0()).nics.map(({ link }) => link)).toEqual(['down', undefined]);
    expect((await running()).filter((device) => device.endsWith(' down'))).toHaveLength(1);
    expect((await shown())?.nics.map(({ link }) => link)).toEqual(['down', undefined]);
    await change({ kind: 'link', nic: 'eth0', link: 'up' });
    expect((await vm0()).nics.map(({ link }) => link)).toEqual([undefined, undefined]);
    expect((await running()).filter((device) => device.endsWith(' down'))).toHaveLength(0);
  });

  it('are kept for the next start', async () => {
    await change({ kind: 'link', nic: 'eth1', link: 'down' });
    expect(world.up).toBe(false);
    await start();
    expect((await running()).filter((device) => device.endsWith(' down'))).toHaveLength(1);
    await stop();
    expect((await vm0()).nics.map(({ link }) => link)).toEqual([undefined, 'down']);
  });

  it('names the cards that the VM has', async () => {
    const request = { kind: 'link', nic: 'eth7', link: 'down' } as const;
    await expect(change(request)).rejects.toMatchObject({ code: 'input.invalid', hint: 'It has: eth0 (net0), eth1 (net1).' });
    await expect(change(request, 'nobody')).rejects.toMatchObject({ code: 'vm.missing' });
  });
});

describe('network cards', () => {
  it('are added with the lowest free address, a reservation and names', async () => {
    await start();
    const before = await network();
    await change({ kind: 'add-nic', net: 'net0' });
    expect((await vm0()).nics[2]).toEqual({ net: 'net0', ip: '192.168.200.4' });
    expect(await running()).toContain('54:52:c0:a8:c8:04');
    const added = (await network()).filter((entry) => !before.includes(entry)).join(' ');
    expect(added).toContain("ip='192.168.200.4'");
    const { mapping } = (await readPrefix(root)).specs.nets[0] ?? { mapping: {} };
    expect(mapping).toMatchObject({ vm0: '192.168.200.2', 'vm0-eth2': '192.168.200.4', 'vm0-net0-1': '192.168.200.4' });
    await change({ kind: 'remove-nic', nic: 'eth2' });
    expect(await network()).toEqual(before);
  });

  it('leave the MAC addresses of the others as they are', async () => {
    await change({ kind: 'add-nic', net: 'net1' });
    await start();
    const before = await running();
    await change({ kind: 'remove-nic', nic: 'eth1' });
    const after = await running();
    expect(before.filter((device) => !after.includes(device))).toHaveLength(1);
    await change({ kind: 'add-nic', net: 'net1' });
    const macs = (await running()).filter((device) => device.startsWith('5'));
    expect(new Set(macs).size).toBe(3);
    await stop();
    await start();
    expect((await running()).filter((device) => device.startsWith('5'))).toEqual(macs);
  });

  it('refuses an address that is taken or not of the network, an unknown network, and removing the way to the VM', async () => {
    await expect(change({ kind: 'add-nic', net: 'net0', ip: '192.168.200.3' })).rejects.toThrow('192.168.200.3 is in use');
    await expect(change({ kind: 'add-nic', net: 'net0', ip: '10.0.0.3' })).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(change({ kind: 'add-nic', net: 'net7' })).rejects.toMatchObject({ hint: 'It has: net0, net1.' });
    await expect(change({ kind: 'remove-nic', nic: 'eth0' })).rejects.toThrow('only card of VM vm0 on its management network');
  });
});

describe('disks', () => {
  it('are added to a running VM, kept, and removed with their image', async () => {
    await start();
    const { notes } = await change({ kind: 'add-disk', size: '10M' });
    expect(notes).toEqual(['It is disk disk1, at vdb.']);
    const image = join(root, 'images', 'added', 'vm0_disk1.qcow2');
    expect(existsSync(image)).toBe(true);
    expect(await running()).toContain(`${image} vdb`);
    await stop();
    await start();
    expect(await running()).toContain(`${image} vdb`);
    await change({ kind: 'remove-disk', disk: 'disk1' });
    expect((await running()).join()).not.toContain('vdb');
    expect(existsSync(image)).toBe(false);
  });

  it('from outside of the init file’s folder need permission', async () => {
    const file = join(folder, 'own.img');
    await writeFile(file, Buffer.alloc(1024 * 1024));
    await expect(change({ kind: 'add-disk', file })).rejects.toMatchObject({
      code: 'input.invalid',
      hint: `To allow it: --allow-path ${file}`,
    });
    await change({ kind: 'add-disk', file, bus: 'scsi', allowPaths: [file] });
    expect((await vm0()).disks[1]).toMatchObject({ dev: 'sda', format: 'raw', path: file });
    const { notes } = await change({ kind: 'remove-disk', disk: 'sda' });
    expect(notes).toEqual([`Its image stays: ${file}`]);
    expect(existsSync(file)).toBe(true);
  });

  it('cannot be removed when a VM boots from them, and names those it has', async () => {
    await expect(change({ kind: 'remove-disk', disk: 'root' })).rejects.toThrow('from which it boots');
    await expect(change({ kind: 'remove-disk', disk: 'vdz' })).rejects.toMatchObject({ hint: 'It has: root (vda).' });
    await expect(change({ kind: 'add-disk', size: 'much' })).rejects.toMatchObject({ code: 'input.invalid' });
  });
});

describe('CDs', () => {
  it('need a drive, which a running VM gets at its next start', async () => {
    const [first, second] = [join(folder, 'first.iso'), join(folder, 'second.iso')] as const;
    for (const file of [first, second]) await writeFile(file, 'a CD');
    await expect(change({ kind: 'cd', file: null })).rejects.toThrow('has no CD drive');
    await start();
    const { notes } = await change({ kind: 'cd', file: first });
    expect(notes.join()).toContain('from its next start on');
    expect((await running()).join()).not.toContain(first);
    await stop();
    await start();
    expect(await running()).toContain(`${first} hdc`);
    await change({ kind: 'cd', file: second, device: 'hdc' });
    expect(await running()).toContain(`${second} hdc`);
    await change({ kind: 'cd', file: null });
    expect(await running()).toContain('hdc');
    await expect(change({ kind: 'cd', file: join(folder, 'nothing.iso') })).rejects.toMatchObject({ code: 'input.missing-file' });
    await expect(change({ kind: 'cd', file: first, device: 'hda' })).rejects.toMatchObject({ hint: 'It has: hdc (cd).' });
  });
});

describe('memory', () => {
  it('is taken by the balloon while the VM runs, and given at the next start', async () => {
    await start();
    await change({ kind: 'memory', size: '128M' });
    expect(await running()).toContain('128 MiB');
    expect(await vm0()).toMatchObject({ memory: 256, balloon: 128 });
    expect(await shown()).toMatchObject({ memory: 256, balloon: 128 });
    await expect(change({ kind: 'memory', size: '1G' })).rejects.toThrow('can have from 64 to 256 MiB');
    await stop();
    await start();
    expect(await running()).toContain('128 MiB');
    await change({ kind: 'memory', size: '256' });
    expect((await vm0()).balloon).toBeUndefined();
    await stop();
    await change({ kind: 'memory', size: '1G' });
    expect((await vm0()).memory).toBe(1024);
    await expect(change({ kind: 'memory', size: 'much' })).rejects.toThrow('"much" is not an amount of memory');
  });
});

describe.each(['internal', 'layers'] as const)('snapshots, %s,', (kind) => {
  beforeEach(async () => {
    await rm(root, { recursive: true });
    await writePrefix(root, { internalSnapshots: kind === 'internal' });
  });
  const snapshot = async (recipe: typeof takeSnapshot, name: string): Promise<void> =>
    await startOperation({ kind: 'snapshot', label: 'test' }, async (step) => await recipe(world.context, root, name, step)).done;
  const revert = async (name: string): Promise<void> =>
    await startOperation(
      { kind: 'revert', label: 'test' },
      async (step) => await revertSnapshot(world.context, root, name, undefined, step),
    ).done;
  /** Disks are told by their lowest files, since a revert puts each on a new layer. */
  const devices = async (): Promise<unknown> => {
    const { disks, nics, memory, balloon } = await vm0();
    const all = JSON.stringify({ disks, nics, memory, balloon, running: await running(), net: await network() });
    const absolute = all.replaceAll('$LAGO_PREFIX_PATH', root);
    return JSON.parse(absolute.replace(/[^" ]+\.layer-\d+\.qcow2/g, (path) => chainOf(path).at(-1) ?? ''));
  };

  it('bring back devices, links, memory, reservations and names', async () => {
    await start();
    const first = await devices();
    await snapshot(takeSnapshot, 'first');
    await change({ kind: 'add-disk', size: '1M' });
    await change({ kind: 'add-nic', net: 'net0' });
    await change({ kind: 'link', nic: 'eth1', link: 'down' });
    await change({ kind: 'memory', size: '128M' });
    const second = await devices();
    await snapshot(takeSnapshot, 'second');
    await change({ kind: 'add-disk', size: '1M' });
    const added = (): readonly string[] => readdirSync(join(root, 'images', 'added'));
    await revert('first');
    // The second snapshot needs its disk; that of nobody is gone.
    expect([await devices(), added()]).toEqual([first, ['vm0_disk1.qcow2']]);
    await revert('second');
    expect(await devices()).toEqual(second);
    const removal = change({ kind: 'remove-disk', disk: 'disk1' });
    if (kind === 'internal') await expect(removal).rejects.toThrow('is part of the snapshots second');
    else expect((await removal).notes).toEqual([]);
    expect([added(), await inconsistencies(root, world)]).toEqual([['vm0_disk1.qcow2'], []]);
    await revert('first');
    await snapshot(removeSnapshot, 'second');
    expect([added(), await inconsistencies(root, world)]).toEqual([[], []]);
  });
});

describe('a snapshot of layers', () => {
  it('that is deleted leaves the image of an added disk to the layer on it, as long as nothing else has it', async () => {
    await start();
    await change({ kind: 'add-disk', size: '1M' });
    const act = async (recipe: typeof takeSnapshot, name: string): Promise<void> =>
      await startOperation({ kind: 'snapshot', label: 'test' }, async (step) => await recipe(world.context, root, name, step)).done;
    for (const name of ['first', 'second']) await act(takeSnapshot, name);
    const lowest = join('added', 'vm0_disk1.qcow2');
    expect(readFileSync(join(root, 'images', 'vm0_disk1.layer-1.qcow2')).includes(lowest)).toBe(true);
    await act(removeSnapshot, 'second');
    expect([existsSync(join(root, 'images', lowest)), await inconsistencies(root, world)]).toEqual([true, []]);
    await act(removeSnapshot, 'first');
    expect([existsSync(join(root, 'images', lowest)), await inconsistencies(root, world)]).toEqual([false, []]);
  });
});

/** One of each kind, each possible on a VM that runs. */
const CHANGES: readonly VmChange[] = [
  { kind: 'link', nic: 'eth0', link: 'down' },
  { kind: 'add-disk', size: '1M' },
  { kind: 'add-nic', net: 'net0' },
  { kind: 'remove-nic', nic: 'eth1' },
  { kind: 'memory', size: '128M' },
];

describe.each(CHANGES)('a change ($kind)', (what) => {
  it('that fails at any step leaves everything as it was', async () => {
    await start();
    const before = await everything();
    for (let at = 1; ; at++) {
      const run = injectFault({ at, how: 'fail' });
      const failed = await change(what).then(
        () => false,
        () => true,
      );
      injectFault(undefined);
      if (!run.struck) break;
      expect([at, failed, await everything()]).toEqual([at, true, before]);
    }
  });

  it.each(['before', 'after'] as const)('that libvirt refuses (%s it takes effect) leaves everything as it was', async (when) => {
    await start();
    const before = await everything();
    for (let call = 1; ; call++) {
      world.faults.failOn('any', call, libvirtError('Injected failure.', 1), when);
      const failed = await change(what).then(
        () => false,
        () => true,
      );
      world.faults.clear();
      if (!failed) break;
      expect([call, await everything()]).toEqual([call, before]);
    }
    expect(await everything()).not.toEqual(before);
  });

  it('that is killed at any step is finished or forgotten by the next command', async () => {
    await start();
    const before = await everything();
    await change(what);
    const after = await everything();
    const fresh = async (): Promise<void> => {
      injectFault(undefined);
      await stop();
      await rm(root, { recursive: true });
      await writePrefix(root);
      await start();
    };
    for (let at = 1; ; at++) {
      await fresh();
      const run = injectFault({ at, how: 'die' });
      await change(what).catch(() => undefined);
      injectFault(undefined);
      await rm(join(root, '.lago-desktop.lock'), { force: true });
      await recover();
      const now = await everything();
      expect([before, after]).toContainEqual(now);
      if (!run.struck) break;
    }
  });
});
