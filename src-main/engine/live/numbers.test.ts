import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import type { FakeHypervisor } from '../libvirt/hypervisor.fake.ts';
import type { DomainStatistics } from '../libvirt/hypervisor.ts';
import { domainName, readPrefix } from '../prefix/prefix.ts';
import { createWorld, UUID, type World, writePrefix } from '../recipes/world.test-support.ts';
import { createNumbers, isQuiet, type NumbersSample, numbersBetween } from './numbers.ts';

function counters(cpuTimeNs: number, bytes: number, resident?: number): DomainStatistics {
  const disk = { readRequests: 0, writeRequests: 0, capacity: 0, allocation: 0, readBytes: bytes, writtenBytes: 2 * bytes };
  const nic = { receivedPackets: 0, sentPackets: 0, receivedBytes: 3 * bytes, sentBytes: 4 * bytes };
  return {
    ...{ name: 'x', uuid: '', state: 'running', vcpus: 1, cpuTimeNs },
    memoryKiB: { current: 1, maximum: 1, available: undefined, usable: undefined, unused: undefined, resident },
    disks: [
      { dev: 'vda', ...disk },
      { dev: 'vdb', ...disk },
    ],
    nics: [{ dev: 'vnet0', ...nic }],
  };
}

function sample(at: number, vms: Readonly<Record<string, DomainStatistics>>): NumbersSample {
  return { at, vms: new Map(Object.entries(vms)) };
}

test('rates are of all disks and NICs, by the time that has passed', () => {
  const before = sample(1000, { web: counters(1e9, 100), gone: counters(1, 1) });
  const after = sample(3000, { web: counters(4e9, 200, 8), fresh: counters(1, 1), again: counters(5, 5) });
  expect(numbersBetween(before, after)).toEqual({
    vms: [
      {
        name: 'web',
        cores: 1.5,
        memory: 8192,
        guestMemory: null,
        balloon: 1024,
        diskRead: 100,
        diskWritten: 200,
        received: 150,
        sent: 200,
      },
    ],
  });
});

test('memory used in the guest is what programs could not get any more', () => {
  const { memoryKiB, ...rest } = counters(1e9, 100);
  const told = { ...rest, memoryKiB: { ...memoryKiB, available: 4096, usable: 1024 } };
  expect(numbersBetween(sample(5, { web: counters(1e9, 100) }), sample(6, { web: told })).vms[0]?.guestMemory).toBe(3072 * 1024);
});

test('a VM that was started again begins at 0, and no time is no error', () => {
  const numbers = numbersBetween(sample(5, { web: counters(9e9, 900) }), sample(5, { web: counters(1e9, 100) }));
  expect(numbers.vms).toEqual([
    { name: 'web', cores: 0, memory: null, guestMemory: null, balloon: 1024, diskRead: 0, diskWritten: 0, received: 0, sent: 0 },
  ]);
});

test('a VM that works or moves data is not quiet', () => {
  const idle = { name: 'web', cores: 0.01, memory: 1, guestMemory: 1, balloon: 1, diskRead: 0, diskWritten: 4096, received: 100, sent: 0 };
  expect(isQuiet(idle)).toBe(true);
  for (const use of [{ cores: 0.5 }, { diskWritten: 100_000 }, { received: 20_000, sent: 20_000 }])
    expect(isQuiet({ ...idle, ...use }), JSON.stringify(use)).toBe(false);
});

async function running(): Promise<{ readonly world: World; readonly root: string; readonly hypervisor: FakeHypervisor }> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-numbers-'));
  onTestFinished(async () => await rm(folder, { recursive: true, force: true }));
  const root = join(folder, 'demo');
  await writePrefix(root);
  const world = createWorld();
  const { hypervisor } = await world.context.hosts.open(await readPrefix(root), silentLog, new AbortController().signal);
  await hypervisor.defineDomain(`<domain><name>${domainName(UUID, 'vm0')}</name></domain>`);
  await hypervisor.startDomain(domainName(UUID, 'vm0'));
  world.faults.clear();
  return { world, root, hypervisor: hypervisor as FakeHypervisor };
}

test('libvirt is asked while somebody looks, once for all who do, and no more afterwards', async () => {
  const { world, root } = await running();
  const numbers = createNumbers({ hosts: world.context.hosts, log: silentLog, everyMs: 5 });
  const asked = (): number => world.faults.calls.filter((call) => call.method === 'domainStatistics').length;
  const [one, two] = [new AbortController(), new AbortController()];
  const first = numbers.watch(root, one.signal);
  expect([numbers.watched, asked()]).toEqual([0, 0]);
  const second = numbers.watch(root, two.signal);
  const [a, b] = await Promise.all([first.next(), second.next()]);
  expect((a.value as unknown as { vms: readonly { name: string }[] }).vms.map(({ name }) => name)).toEqual(['vm0']);
  expect(b).toEqual(a);
  expect([numbers.watched, asked()]).toEqual([1, 2]);
  one.abort();
  expect((await first.next()).done).toBe(true);
  expect((await second.next()).done).toBe(false);
  two.abort();
  expect((await second.next()).done).toBe(true);
  expect(numbers.watched).toBe(0);
});

test('a libvirt that goes away has no numbers, until it is back', async () => {
  const { world, root, hypervisor } = await running();
  const numbers = createNumbers({ hosts: world.context.hosts, log: silentLog, everyMs: 5 });
  const end = new AbortController();
  const seen: number[] = [];
  hypervisor.disconnect();
  for await (const { vms } of numbers.watch(root, end.signal)) {
    if (seen.at(-1) !== vms.length) seen.push(vms.length);
    hypervisor.reconnect();
    if (seen.length === 2) end.abort();
  }
  expect(seen).toEqual([0, 1]);
});

test('an environment that is not there ends it', async () => {
  const world = createWorld();
  const numbers = createNumbers({ hosts: world.context.hosts, log: silentLog });
  expect((await numbers.watch('/nowhere', new AbortController().signal).next()).done).toBe(true);
  expect(numbers.watched).toBe(0);
});
