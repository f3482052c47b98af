import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PrefixState } from '../../../src-shared/state.ts';
import { silentLog } from '../core/log.ts';
import { type Step, startOperation } from '../core/operation.ts';
import { runChecked } from '../core/run.ts';
import { createLayer } from '../disk/layers.ts';
import { diskFilesOf } from '../libvirt/hypervisor-devices.fake.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { observe, prefixState } from '../runtime/observed/state.ts';
import { inconsistencies } from './consistency.test-support.ts';
import { editSnapshot } from './edit-snapshot.ts';
import { forkEnvironment } from './fork/fork.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { removeSnapshot, revertSnapshot, takeSnapshot } from './snapshots.ts';
import { createWorld, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;
const VM0 = domainName(UUID, 'vm0');

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-drift-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
  await start();
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function doing(work: (step: Step) => Promise<unknown>): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => void (await work(step))).done;
}
const start = async (): Promise<void> => await doing(async (step) => await startEnvironment(world.context, root, [], step));
const stop = async (): Promise<void> => await doing(async (step) => await stopEnvironment(world.context, root, [], step));
const take = async (name: string): Promise<void> => await doing(async (step) => await takeSnapshot(world.context, root, name, step));
const remove = async (name: string): Promise<void> => await doing(async (step) => await removeSnapshot(world.context, root, name, step));
const revert = async (name: string): Promise<void> =>
  await doing(async (step) => await revertSnapshot(world.context, root, name, undefined, step));
const fork = async (snapshot: string): Promise<void> =>
  await doing(async (step) => await forkEnvironment(world.context, root, { name: 'second', snapshot }, step));

async function state(): Promise<PrefixState> {
  const prefix = await readPrefix(root);
  const { hosts, plugins } = world.context;
  return await prefixState(prefix, hosts, await observe(prefix, hosts, { plugins, log: silentLog }));
}
const problem = async (vm: string): Promise<string | undefined> => (await state()).vms.find(({ name }) => name === vm)?.problem;
const changed = async (snapshot: string): Promise<readonly string[] | undefined> =>
  (await state()).snapshots.find(({ name }) => name === snapshot)?.changed;

const inUse = (): string => diskFilesOf(world.model.domainXml(VM0, false)).get('vda') ?? '';
async function qemuIo(file: string, command: string): Promise<string> {
  return (await runChecked(['qemu-io', '-f', 'qcow2', '-c', command, file], `${file} cannot be used.`)).stdout;
}
const write = async (pattern: string, file = inUse()): Promise<string> => await qemuIo(file, `write -P ${pattern} 0 64k`);
const reads = async (pattern: string): Promise<boolean> => !(await qemuIo(inUse(), `read -P ${pattern} 0 64k`)).includes('failed');

/** Puts the disk of a running VM on another file, as `virsh snapshot-create-as --disk-only` does. */
async function moveDisk(): Promise<string> {
  const path = join(root, 'images', 'vm0_root.layer-1.outside');
  await createLayer({ path, below: inUse(), belowFormat: 'qcow2' });
  world.model.addLayers(VM0, [{ disk: 'vda', path }]);
  return path;
}

describe('a disk that another program has put on another file', () => {
  beforeEach(async () => {
    await take('base');
    await write('0x11');
  });

  it('is told of, and taken over by the next verb, so that a stop loses nothing', async () => {
    const path = await moveDisk();
    await write('0x22');
    expect([await problem('vm0'), await problem('vm1')]).toEqual([expect.stringContaining(`disk vda on ${path} instead of`), undefined]);
    await stop();
    const [vm] = (await readPrefix(root)).specs.vms;
    expect(expandPrefixPath(vm?.disks[0]?.path ?? '', root)).toBe(path);
    await start();
    expect([inUse(), await reads('0x22'), await problem('vm0')]).toEqual([path, true, undefined]);
  });

  it.each(['running', 'off'])('keeps its content while snapshots come and go, with the VM %s', async (how) => {
    await moveDisk();
    await write('0x22');
    await take('more');
    await write('0x33');
    if (how === 'off') await stop();
    await remove('base');
    await remove('more');
    if (how === 'off') await start();
    expect([await reads('0x33'), await inconsistencies(root, world)]).toEqual([true, []]);
  });

  it('does not keep the environment from going back; what is not of Lago stays', async () => {
    await write('0x33');
    await take('more');
    const path = await moveDisk();
    await write('0x22');
    await revert('more');
    expect([await reads('0x33'), await inconsistencies(root, world)]).toEqual([true, [`${path} is not needed`]]);
  });
});

describe('a frozen file that another program has written to', () => {
  it('is told of, and neither reverted to nor forked from, until it is accepted', async () => {
    await write('0x11');
    const frozen = inUse();
    await take('base');
    await write('0x22');
    await take('more');
    expect(await changed('base')).toBeUndefined();
    await write('0x44', frozen);
    expect([await changed('base'), await changed('more')]).toEqual([['vm0'], undefined]);
    const refused = { code: 'snapshot.missing', message: expect.stringContaining(`${frozen}, a disk of VM vm0, was changed`) as string };
    await expect(revert('base')).rejects.toMatchObject(refused);
    await expect(fork('base')).rejects.toMatchObject(refused);
    expect([await reads('0x22'), world.model.describe().domains.map((one) => one.state)]).toEqual([true, ['running', 'running']]);
    await doing(async (step) => await editSnapshot(world.context, root, { name: 'base', accept: true }, step));
    expect(await changed('base')).toBeUndefined();
    await revert('base');
    expect([await reads('0x44'), await inconsistencies(root, world)]).toEqual([true, []]);
  });

  it('stays told of when layers are merged into it', async () => {
    await write('0x11');
    const frozen = inUse();
    await take('base');
    await take('more');
    await take('most');
    await write('0x44', frozen);
    await remove('more');
    expect([await changed('base'), await changed('most')]).toEqual([['vm0'], undefined]);
  });

  it('stays told of when it is merged into another one', async () => {
    await take('base');
    await write('0x11');
    const frozen = inUse();
    await take('more');
    await write('0x44', frozen);
    await remove('base');
    expect(await changed('more')).toEqual(['vm0']);
  });
});

describe('what another program does to a VM', () => {
  it('is told of: that it was undefined, or powered off', async () => {
    world.model.undefineDomain(VM0);
    world.model.destroyDomain(domainName(UUID, 'vm1'));
    expect(await problem('vm0')).toContain('undefined it');
    expect(await problem('vm1')).toContain('powered off');
    await start();
    expect([await problem('vm0'), await problem('vm1')]).toEqual([expect.stringContaining('undefined it'), undefined]);
    await stop();
    await start();
    expect([await problem('vm0'), await inconsistencies(root, world)]).toEqual([undefined, []]);
  });

  it('is told of: snapshots that it has in libvirt', async () => {
    const session = await world.context.hosts.find(await readPrefix(root), new AbortController().signal);
    await session?.hypervisor.createSnapshot(VM0, '<domainsnapshot><name>theirs</name></domainsnapshot>', {});
    expect(await problem('vm0')).toContain('theirs');
  });
});
