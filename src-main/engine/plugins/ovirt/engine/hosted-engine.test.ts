import { beforeEach, describe, expect, it } from 'vitest';
import { VmSpec } from '../../../../../src-shared/specs.ts';
import type { Engine } from '../../contract.ts';
import type { HostedEngine } from '../ovirt-vms.ts';
import { hostedName, hostedStatus, setGlobalMaintenance, shutDownEngineVm, startEngineVm } from './hosted-engine.ts';
import { type FakeHosts, fakeHosts } from './hosted-hosts.test-support.ts';
import { hostedSummary, parseHostedStatus } from './hosted-status.ts';

const { signal } = new AbortController();
const waiting = { signal, everyMs: 1 };

describe.each(['new', 'old'])('a hosted engine whose status is written in the %s way', (way) => {
  let hosts: FakeHosts;
  let hosted: HostedEngine;
  beforeEach(() => {
    hosts = fakeHosts(['host-0', 'host-1'], way === 'old');
    const vm = { exec: async (_: string, { vm: name, command }: { vm: string; command: string }) => await run(name, command) };
    const run = async (name: string, command: string): Promise<object> => await Promise.resolve(hosts.run(name, command, 'PEM'));
    const on = ['host-0', 'host-1'].map((name) => VmSpec.parse({ name, 'vm-type': 'ovirt-he-host' }));
    const prefix = { path: '/env', name: 'env', workdir: null };
    hosted = { kind: 'hosted', engine: { vm } as unknown as Engine, prefix, on, hosts: on, address: null, password: '123' };
  });

  it('is started once, by the first host that can, and waited for', async () => {
    hosts.broken.add('host-0');
    await startEngineVm(hosted, waiting);
    expect(hosts.asked).toEqual(['host-1: --vm-start']);
    await startEngineVm(hosted, waiting);
    expect(hosts.asked).toHaveLength(1);
    expect(hostedSummary(await hostedStatus(hosted, signal))).toMatchObject({
      vm: 'up',
      health: 'good',
      host: 'host-1',
      global_maintenance: false,
      hosts: { 'host-0': { vm: 'down', score: 3400 }, 'host-1': { vm: 'up' } },
    });
  });

  it('is shut down on the host that runs it, and left alone when it is down', async () => {
    hosts.vms['host-1'] = 'up';
    await shutDownEngineVm(hosted, waiting);
    await shutDownEngineVm(hosted, waiting);
    expect(hosts.asked).toEqual(['host-1: --vm-shutdown']);
  });

  it('gets into global maintenance, also when the agents miss it at first, and out of it', async () => {
    hosts.missed = 2;
    await setGlobalMaintenance(hosted, true, waiting);
    expect(hosts.maintenance).toBe(true);
    await setGlobalMaintenance(hosted, true, waiting);
    await setGlobalMaintenance(hosted, false, waiting);
    const asked = '--set-maintenance --mode';
    expect(hosts.asked).toEqual([...Array<string>(3).fill(`host-0: ${asked}=global`), `host-0: ${asked}=none`]);
    expect(hosts.maintenance).toBe(false);
  });

  it('is known by its name on the hosts, or by its address in the init file', async () => {
    expect(await hostedName(hosted, signal)).toBe('engine.lago.local');
    expect(await hostedName({ ...hosted, address: '192.168.200.99' }, signal)).toBe('192.168.200.99');
  });

  it('that no host tells of is an error with what each said', async () => {
    hosts.broken.add('host-0').add('host-1');
    await expect(shutDownEngineVm(hosted, waiting)).rejects.toMatchObject({
      code: 'guest.failed',
      message: expect.stringMatching(
        /^No host tells of the hosted engine: .* on VM host-0: Cannot connect to the HA daemon .* VM host-1/,
      ) as string,
    });
  });

  it('is not waited for after an abort', async () => {
    hosts.broken.add('host-0').add('host-1');
    const aborted = { signal: AbortSignal.abort(), everyMs: 1 };
    await expect(startEngineVm(hosted, aborted)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('the status of a hosted engine', () => {
  it('is unknown where a host has not told of it lately', () => {
    const stale = { '1': { hostname: 'a', 'live-data': false, 'engine-status': { vm: 'up', health: 'good', detail: 'Up' } } };
    expect(parseHostedStatus(JSON.stringify(stale))).toEqual({
      globalMaintenance: false,
      hosts: [{ host: 'a', vm: 'unknown', health: 'unknown', detail: 'unknown', score: 0 }],
    });
  });

  it.each(['', 'You must run deploy first', '[]x', '3'])('%j is none', (text) => {
    expect(() => parseHostedStatus(text)).toThrow(expect.objectContaining({ code: 'remote.invalid' }) as Error);
  });
});
