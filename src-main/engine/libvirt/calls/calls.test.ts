import { afterEach, describe, expect, it } from 'vitest';
import type { Hypervisor, HypervisorEvent } from '../hypervisor.ts';
import { connectHypervisor } from '../libvirt.ts';
import { type FakeLibvirtd, FakeLibvirtError, type Handlers, startFakeLibvirtd } from '../rpc/libvirtd.fake.ts';
import { notices } from '../rpc/protocol.ts';

const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function connect(handlers: Handlers): Promise<{ readonly server: FakeLibvirtd; readonly hypervisor: Hypervisor }> {
  const server = await startFakeLibvirtd(handlers);
  cleanUps.push(async () => await server.stop());
  const hypervisor = await connectHypervisor(server.uri);
  cleanUps.push(async () => await hypervisor.close());
  return { server, hypervisor };
}

const NIC = "<interface type='network'><mac address='54:52:00:00:00:01'/><alias name='net0'/></interface>";
const domain = { name: 'vm0', uuid: '00000000-0000-4000-8000-000000000001', id: 3 };
const descriptionOf = (devices: string): { xml: string } => ({ xml: `<domain id='3'><devices>${devices}</devices></domain>` });

describe('trap 6: changing a network', () => {
  it.each([
    [1, { command: 3, section: 10 }],
    [0, { command: 10, section: 3 }],
  ])('sends what the daemon understands that answers %i', async (supported, expected) => {
    const seen: unknown[] = [];
    const { hypervisor } = await connect({
      networkLookupByName: ({ name }) => ({ network: { name, uuid: domain.uuid } }),
      connectSupportsFeature: ({ feature }) => {
        expect(feature).toBe(16);
        return { supported };
      },
      networkUpdate: (args) => {
        seen.push(args);
        return undefined;
      },
    });
    const change = { command: 'add', section: 'dns host', xml: '<host/>' } as const;
    await hypervisor.updateNetwork('n', change, { live: true, config: true });
    await hypervisor.updateNetwork('n', { ...change, subnet: 1 }, { live: true });
    expect(seen).toMatchObject([
      { ...expected, parentIndex: -1, xml: '<host/>', flags: 3 },
      { ...expected, parentIndex: 1, flags: 1 },
    ]);
  });
});

describe('removing a device', () => {
  it('waits until the guest has let go of it', async () => {
    let devices = NIC;
    const { server, hypervisor } = await connect({
      domainGetXml: () => descriptionOf(devices),
      domainDetachDevice: () => undefined,
    });
    let over = false;
    const removed = hypervisor.detachDevice('vm0', NIC, { live: true }).then(() => (over = true));
    await expect.poll(() => server.calls().filter((call) => call.name === 'domainGetXml').length).toBe(2);
    for (const client of server.clients) client.notify(notices.deviceRemoved, { callback: 1, domain, alias: 'another' });
    await hypervisor.findDomain('vm0');
    expect(over).toBe(false);
    devices = '';
    for (const client of server.clients) client.notify(notices.deviceRemoved, { callback: 1, domain, alias: 'net0' });
    await removed;
  });

  it('does not wait for what is gone already, or only in the definition', async () => {
    let devices = NIC;
    const { hypervisor } = await connect({
      domainGetXml: () => descriptionOf(devices),
      domainDetachDevice: () => {
        devices = '';
        return undefined;
      },
    });
    await hypervisor.detachDevice('vm0', NIC, { live: true });
    devices = NIC;
    await hypervisor.detachDevice('vm0', NIC, { config: true });
  });

  it('ends with the reason when the guest keeps it, the connection is lost or the caller cancels', async () => {
    const { server, hypervisor } = await connect({ domainGetXml: () => descriptionOf(NIC), domainDetachDevice: () => undefined });
    const kept = hypervisor.detachDevice('vm0', NIC, {}, { timeoutMs: 30 });
    await expect(kept).rejects.toMatchObject({ code: 'hypervisor.failed', details: { alias: 'net0' } });
    const abort = new AbortController();
    const cancelled = hypervisor.detachDevice('vm0', NIC, {}, { signal: abort.signal });
    const lost = hypervisor.detachDevice('vm0', NIC);
    const refusals = [
      expect(cancelled).rejects.toMatchObject({ code: 'cancelled' }),
      expect(lost).rejects.toMatchObject({ code: 'hypervisor.disconnected' }),
    ];
    await expect.poll(() => server.calls().filter((call) => call.name === 'domainGetXml').length).toBe(6);
    abort.abort();
    await refusals[0];
    for (const client of server.clients) client.socket.destroy();
    await refusals[1];
  });
});

it('unplugs a cable in the running VM and in its definition, each with its own description', async () => {
  const changes: unknown[] = [];
  const { hypervisor } = await connect({
    domainGetXml: ({ flags }) => (flags === 2 ? descriptionOf(NIC.replace("<alias name='net0'/>", '')) : descriptionOf(NIC)),
    domainUpdateDevice: ({ xml, flags }) => {
      changes.push([flags, xml.includes('net0'), xml.includes("<link state='down'/>")]);
      return undefined;
    },
  });
  await hypervisor.setLink('vm0', '54:52:00:00:00:01', 'down', { live: true, config: true });
  expect(changes).toEqual([
    [1, true, true],
    [2, false, true],
  ]);
  await expect(hypervisor.setLink('vm0', '54:52:00:00:00:02', 'up')).rejects.toMatchObject({ code: 'input.invalid' });
});

it('reads bulk statistics, whatever a driver leaves out', async () => {
  const value = (name: string, amount: number | string): { name: string; value: number | string } => ({ name, value: amount });
  const { hypervisor } = await connect({
    connectGetAllDomainStats: () => ({
      records: [
        {
          domain,
          values: [
            ...[value('state.state', 1), value('cpu.time', 2 ** 60), value('vcpu.current', 2), value('balloon.current', 4096)],
            ...[value('block.count', 1), value('block.0.name', 'vda'), value('block.0.rd.bytes', 512), value('net.count', 1)],
            ...[value('net.0.name', 'vnet3'), value('net.0.rx.bytes', 7)],
          ],
        },
        { domain: { ...domain, name: 'a' }, values: [] },
      ],
    }),
  });
  const [empty, full] = await hypervisor.domainStatistics();
  expect(empty).toMatchObject({ name: 'a', state: 'no state', cpuTimeNs: 0, disks: [], nics: [], memoryKiB: { current: undefined } });
  expect(full).toMatchObject({
    name: 'vm0',
    state: 'running',
    cpuTimeNs: 2 ** 60,
    vcpus: 2,
    memoryKiB: { current: 4096, unused: undefined },
    disks: [{ dev: 'vda', readBytes: 512, writtenBytes: 0 }],
    nics: [{ dev: 'vnet3', receivedBytes: 7, sentBytes: 0 }],
  });
});

it('tells of agents, block jobs, devices and jobs', async () => {
  const { server, hypervisor } = await connect({});
  const heard: HypervisorEvent[] = [];
  hypervisor.onEvent((event) => heard.push(event));
  const { name, uuid } = domain;
  for (const client of server.clients) {
    client.notify(notices.agentLifecycle, { callback: 1, domain, state: 1, reason: 0 });
    client.notify(notices.agentLifecycle, { callback: 1, domain, state: 2, reason: 0 });
    client.notify(notices.blockJob, { callback: 1, domain, disk: 'vda', kind: 4, status: 3 });
    client.notify(notices.blockJob, { callback: 1, domain, disk: 'vda', kind: 4, status: 9 });
    client.notify(notices.deviceRemoved, { callback: 1, domain, alias: 'net0' });
    client.notify(notices.jobCompleted, { callback: 1, domain, values: [{ name: 'time_elapsed', value: 12 }] });
    client.notify(notices.connectionClosed, { reason: 0 });
  }
  await expect.poll(() => heard.length).toBeGreaterThanOrEqual(6);
  expect(heard.slice(0, 6)).toEqual([
    { type: 'agent', name, uuid, connected: true },
    { type: 'agent', name, uuid, connected: false },
    { type: 'block job', name, uuid, disk: 'vda', kind: 'active commit', status: 'ready' },
    { type: 'device removed', name, uuid, alias: 'net0' },
    { type: 'job completed', name, uuid, job: { elapsedMs: 12, processed: 0, total: 0 } },
    { type: 'disconnected', reason: expect.stringContaining('hypervisor') as string },
  ]);
});

it('follows a save, from another call than the one that saves, and can stop it', async () => {
  let stop = (): void => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const { server, hypervisor } = await connect({
    domainManagedSave: async () => {
      await stopped;
      throw new FakeLibvirtError(78, 'operation aborted: canceled by client');
    },
    domainGetJobStats: () => ({
      kind: 2,
      values: [
        { name: 'time_elapsed', value: 5 },
        { name: 'data_total', value: 100 },
        { name: 'data_processed', value: 40 },
      ],
    }),
    domainAbortJob: () => {
      stop();
      return undefined;
    },
  });
  const save = hypervisor.managedSave('vm0');
  const refused = expect(save).rejects.toMatchObject({ code: 'hypervisor.failed', details: { libvirtCode: 78 } });
  await expect.poll(() => server.calls().some((call) => call.name === 'domainManagedSave')).toBe(true);
  expect(await hypervisor.domainJob('vm0')).toEqual({ elapsedMs: 5, processed: 40, total: 100 });
  await hypervisor.abortJob('vm0');
  await refused;
});
