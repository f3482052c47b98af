import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { startOperation } from '../core/operation.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { startEnvironment, stopEnvironment } from './lifecycle.ts';
import { setLink } from './set-link.ts';
import type { LinkRequest } from './set-link-request.ts';
import { createWorld, UUID, type World, writePrefix } from './world.test-support.ts';

let folder: string;
let root: string;
let world: World;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-link-'));
  root = join(folder, 'demo');
  world = createWorld();
  await writePrefix(root);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function set(nic: string, link: LinkRequest['link'], vm = 'vm0'): Promise<void> {
  await startOperation({ kind: 'vm', label: 'test' }, async (step) => await setLink(world.context, root, { vm, nic, link }, step)).done;
}

async function start(): Promise<void> {
  await startOperation({ kind: 'start', label: 'test' }, async (step) => await startEnvironment(world.context, root, [], step)).done;
}

/** Whether the description of the running VM has a card without a link. */
async function unplugged(): Promise<boolean> {
  const session = await world.context.hosts.find(await readPrefix(root));
  return (await session?.hypervisor.domainXml(domainName(UUID, 'vm0')))?.includes("<link state='down'/>") ?? false;
}

const kept = async (): Promise<unknown> => (await readPrefix(root)).specs.vms[0]?.nics.map(({ link }) => link);

it('unplugs and plugs in a card of a VM that runs', async () => {
  await start();
  await set('eth0', 'down');
  expect(await kept()).toEqual(['down', undefined]);
  expect(await unplugged()).toBe(true);
  await set('eth0', 'up');
  expect(await kept()).toEqual([undefined, undefined]);
  expect(await unplugged()).toBe(false);
});

it('is kept for the next start', async () => {
  await set('eth1', 'down');
  expect(world.up).toBe(false);
  await start();
  expect(await kept()).toEqual([undefined, 'down']);
  expect(await unplugged()).toBe(true);
  await startOperation({ kind: 'stop', label: 'test' }, async (step) => await stopEnvironment(world.context, root, [], step)).done;
  expect(await kept()).toEqual([undefined, 'down']);
});

it('names the cards that the VM has', async () => {
  await expect(set('eth7', 'down')).rejects.toMatchObject({ code: 'input.invalid', hint: 'It has: eth0 (net0), eth1 (net1).' });
  await expect(set('eth0', 'down', 'nobody')).rejects.toMatchObject({ code: 'vm.missing' });
});
