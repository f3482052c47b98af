import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { createFakeHypervisor } from './hypervisor.fake.ts';
import type { HypervisorEvent } from './hypervisor.ts';
import { FakeFaults } from './hypervisor-faults.fake.ts';
import { FakeModel } from './hypervisor-model.fake.ts';
import { hypervisorSuite } from './hypervisor-suite.test-support.ts';

function domainXml(name: string, uuid?: string, network?: string): string {
  const disk = "<disk><target dev='vda'/></disk>";
  const nic =
    network === undefined ? '' : `<interface type='network'><mac address='54:52:00:00:00:01'/><source network='${network}'/></interface>`;
  const id = uuid === undefined ? '' : `<uuid>${uuid}</uuid>`;
  return `<domain><name>${name}</name>${id}<memory>8192</memory><devices>${disk}${nic}</devices></domain>`;
}

hypervisorSuite('in memory', async () => {
  const model = new FakeModel();
  return {
    connect: async () => createFakeHypervisor({ model }),
    domainXml,
    networkXml: (name) => `<network><name>${name}</name></network>`,
    can: { startPaused: true, deleteMetadataOnly: true, leases: true, shutdown: true, changeRunning: true },
    savePath: (name) => `/tmp/${name}.save`,
    diskXml: () => "<disk><target dev='vdb'/></disk>",
    close: async () => undefined,
  };
});

describe('the fake hypervisor', () => {
  it('fails at each step in turn and leaves the host as that step found it', async () => {
    const work = async (fake: ReturnType<typeof createFakeHypervisor>): Promise<void> => {
      await fake.defineNetwork('<network><name>n</name></network>');
      await fake.startNetwork('n');
      await fake.defineDomain(domainXml('vm0', undefined, 'n'));
      await fake.findDomain('vm0');
      await fake.startDomain('vm0');
      await fake.createSnapshot('vm0', '<domainsnapshot><name>s</name></domainsnapshot>');
    };
    const whole = createFakeHypervisor();
    await work(whole);
    expect(whole.faults.changes).toBe(5);
    const states: string[] = [];
    for (let step = 1; step <= whole.faults.changes; step++) {
      const fake = createFakeHypervisor();
      fake.faults.failOn('any', step);
      await expect(work(fake)).rejects.toMatchObject({ code: 'hypervisor.failed', message: expect.stringContaining('Injected') as string });
      states.push(JSON.stringify(fake.model.describe()));
    }
    expect(new Set([...states, JSON.stringify(whole.model.describe())]).size).toBe(6);
    expect(whole.model.describe()).toEqual({
      domains: [
        { name: 'vm0', state: 'running', persistent: true, snapshots: [{ name: 's', parent: undefined, state: 'running', current: true }] },
      ],
      networks: [{ name: 'n', active: true, persistent: true }],
    });
  });

  it('fails the n-th call of a method once, before or after its effect, with the given error', async () => {
    const fake = createFakeHypervisor();
    await fake.defineDomain(domainXml('vm0'));
    const error = new EngineError('hypervisor.disconnected', 'gone');
    fake.faults.failOn('startDomain', 2, error, 'after');
    await fake.startDomain('vm0');
    await fake.destroyDomain('vm0');
    await expect(fake.startDomain('vm0')).rejects.toBe(error);
    expect((await fake.findDomain('vm0'))?.state).toBe('running');
    await fake.destroyDomain('vm0');
    await fake.startDomain('vm0');
    expect(fake.faults.calls.filter((call) => call.method === 'startDomain').map((call) => call.subject)).toEqual(['vm0', 'vm0', 'vm0']);
  });

  it('waits for a cancelled change, and completes one that timed out', async () => {
    const fake = createFakeHypervisor();
    await fake.defineDomain(domainXml('vm0'));
    fake.faults.delay('startDomain', 5);
    const abort = new AbortController();
    const start = fake.startDomain('vm0', {}, { signal: abort.signal });
    abort.abort();
    await start;
    expect((await fake.findDomain('vm0'))?.state).toBe('running');
    await expect(fake.destroyDomain('vm0', { signal: abort.signal })).rejects.toMatchObject({ code: 'cancelled' });
    await expect(fake.destroyDomain('vm0', { timeoutMs: 5 })).resolves.toBeUndefined();
    fake.faults.delay('any', 1000);
    const started = new Promise((resolve) => fake.onEvent(resolve));
    await expect(fake.startDomain('vm0', {}, { timeoutMs: 1 })).rejects.toMatchObject({ code: 'hypervisor.failed' });
    expect(await started).toMatchObject({ event: 'started' });
  });

  it('shares its host and its faults between connections, and loses one connection alone', async () => {
    const model = new FakeModel();
    const faults = new FakeFaults();
    const one = createFakeHypervisor({ model, faults });
    const two = createFakeHypervisor({ model, faults });
    const events: HypervisorEvent[] = [];
    one.onEvent((event) => events.push(event));
    faults.delay('listDomains', 1000);
    const waiting = one.listDomains();
    one.disconnect('the daemon died');
    await expect(waiting).rejects.toMatchObject({ code: 'hypervisor.disconnected' });
    await two.defineDomain(domainXml('vm0'));
    expect(events).toEqual([{ type: 'disconnected', reason: 'the daemon died' }]);
    await expect(one.listDomains()).rejects.toMatchObject({ code: 'hypervisor.disconnected' });
    const back = one.whenConnected();
    one.reconnect();
    await back;
    faults.delay('listDomains', 0);
    expect((await one.listDomains()).map((domain) => domain.name)).toEqual(['vm0']);
    expect(faults.changes).toBe(1);
  });

  it('does not start a VM whose network is down', async () => {
    const fake = createFakeHypervisor();
    await fake.defineNetwork('<network><name>n</name></network>');
    await fake.defineDomain(domainXml('vm0', undefined, 'n'));
    await expect(fake.startDomain('vm0')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    await fake.startNetwork('n');
    await fake.startDomain('vm0');
  });

  it('has a guest that may ignore shutdown, may crash, and has an agent and a console', async () => {
    const fake = createFakeHypervisor({ agent: (vm, command) => `${vm}:${command}` });
    await fake.defineDomain(domainXml('vm0'));
    await fake.startDomain('vm0');
    expect(await fake.agentCommand('vm0', 'ping')).toBe('vm0:ping');
    const console = await fake.openConsole('vm0');
    await expect(fake.openConsole('vm0')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    console.end('hello');
    expect(await text(console)).toBe('hello');
    fake.model.obeys = new Set();
    await fake.shutdownDomain('vm0');
    expect((await fake.findDomain('vm0'))?.state).toBe('running');
    fake.model.crashDomain('vm0');
    expect((await fake.findDomain('vm0'))?.state).toBe('shut off');
  });

  it('returns the leases it was given', async () => {
    const fake = createFakeHypervisor();
    await fake.defineNetwork('<network><name>n</name></network>');
    const lease = { mac: '54:52:00:00:00:01', ip: '192.168.200.2', hostname: 'vm0', expiresAt: 1 };
    fake.model.setLeases('n', [lease]);
    expect(await fake.networkLeases('n')).toEqual([lease]);
  });

  it('has disks that can be copied, a cable that can be unplugged, addresses and a clock of its CPU', async () => {
    const fake = createFakeHypervisor({ monitor: (vm, command) => `${vm}:${command}` });
    const heard: HypervisorEvent[] = [];
    fake.onEvent((event) => heard.push(event));
    await fake.defineNetwork('<network><name>n</name></network>');
    await fake.startNetwork('n');
    await fake.defineDomain(domainXml('vm0', undefined, 'n'));
    await fake.startDomain('vm0');
    await fake.commitDisk('vm0', 'vda', 'backing');
    expect(await fake.blockJob('vm0', 'vda')).toMatchObject({ kind: 'active commit' });
    await expect(fake.copyDisk('vm0', 'vda', '<disk/>')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    await fake.endBlockJob('vm0', 'vda', { pivot: true });
    expect(heard.flatMap((event) => (event.type === 'block job' ? [event.status] : []))).toEqual(['ready', 'completed']);

    await fake.setLink('vm0', '54:52:00:00:00:01', 'down', { live: true, config: true });
    expect(await fake.domainXml('vm0', { inactive: true })).toContain("<link state='down'/>");
    fake.model.setLeases('n', [{ mac: '54:52:00:00:00:01', ip: '192.168.200.2', hostname: 'vm0', expiresAt: 1 }]);
    const [nic] = await fake.interfaceAddresses('vm0', 'agent');
    expect(nic).toMatchObject({ name: 'eth0', addresses: [{ ip: '192.168.200.2' }] });
    fake.model.setCpuTime('vm0', 5e9);
    expect((await fake.domainStatistics())[0]).toMatchObject({ cpuTimeNs: 5e9, disks: [{ dev: 'vda' }], nics: [{ dev: 'vnet0' }] });
    expect([await fake.freezeFilesystems('vm0'), await fake.freezeFilesystems('vm0'), await fake.thawFilesystems('vm0')]).toEqual([
      1, 0, 1,
    ]);
    expect(await fake.monitorCommand('vm0', 'q')).toBe('vm0:q');
  });
});
