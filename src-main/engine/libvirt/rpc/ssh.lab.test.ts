import { execFileSync } from 'node:child_process';
import { afterEach, describe, expect, it } from 'vitest';
import type { HypervisorEvent } from '../hypervisor.ts';
import { connectHypervisor } from '../libvirt.ts';
import { type FakeLibvirtd, startFakeLibvirtd } from './libvirtd.fake.ts';
import { type SshHost, type SshHostOptions, startSshHost } from './ssh-host.test-support.ts';
import { startTestDaemon } from './test-daemon.test-support.ts';

const HELPER = '/usr/bin/virt-ssh-helper';
const cleanUps: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

async function host(options: SshHostOptions = {}): Promise<SshHost> {
  const started = await startSshHost(options);
  cleanUps.push(async () => await started[Symbol.asyncDispose]());
  return started;
}

async function daemon(): Promise<FakeLibvirtd> {
  const started = await startFakeLibvirtd();
  cleanUps.push(async () => await started.stop());
  return started;
}

/** The program behind a name on the PATH, without links. */
function programOf(name: string): string {
  return execFileSync('sh', ['-c', 'readlink -f "$(command -v "$0")"', name], { encoding: 'utf8' }).trim();
}

async function expectCalls(uri: string): Promise<void> {
  const hypervisor = await connectHypervisor(uri);
  expect((await hypervisor.findDomain('vm0'))?.name).toBe('vm0');
  await hypervisor.close();
}

describe('libvirt on another machine', () => {
  it.each(['libvirt-sock', 'virtqemud-sock'])("is found by the far side's helper at %s", async (socket) => {
    const server = await daemon();
    const far = await host({ sockets: { [socket]: server.path } });
    await expectCalls(`qemu+ssh://${far.address}/system?${far.parameters()}`);
    expect(server.calls().some((call) => call.name === 'connectOpen')).toBe(true);
  });

  it.each(['libvirt-sock', 'virtqemud-sock'])('is reached by netcat where there is no helper, at %s', async (socket) => {
    const server = await daemon();
    const far = await host({ sockets: { [socket]: server.path }, without: [HELPER] });
    await expectCalls(`qemu+ssh://${far.address}/system?${far.parameters()}`);
  });

  it('answers at a socket of its own, calls and events', async () => {
    await using real = await startTestDaemon();
    const far = await host();
    const hypervisor = await connectHypervisor(`test+ssh://${far.address}/default?socket=${real.socket}&${far.parameters()}`);
    cleanUps.push(async () => await hypervisor.close());
    const events: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => events.push(event));
    await hypervisor.suspendDomain('test');
    await expect.poll(() => events.length).toBeGreaterThan(0);
    expect(events[0]).toMatchObject({ type: 'domain', name: 'test', event: 'suspended' });
  });

  it('is connected to again when it comes back', async () => {
    const server = await daemon();
    const far = await host({ sockets: { 'libvirt-sock': server.path } });
    const hypervisor = await connectHypervisor(`qemu+ssh://${far.address}/system?${far.parameters()}`);
    cleanUps.push(async () => await hypervisor.close());
    const events: string[] = [];
    hypervisor.onEvent((event) => events.push(event.type));
    await server.pause();
    await expect.poll(() => events).toEqual(['disconnected']);
    await server.resume();
    await expect.poll(() => events, { timeout: 20_000 }).toEqual(['disconnected', 'connected']);
    expect((await hypervisor.findDomain('vm0'))?.name).toBe('vm0');
  });

  it('says what is wrong: host key, log-in, programs, daemon', async () => {
    const far = await host({ without: [HELPER] });
    const uri = (parameters: string): string => `qemu+ssh://${far.address}/system?${parameters}`;
    await expect(connectHypervisor(uri(far.parameters({ known_hosts: 'no_hosts' })))).rejects.toMatchObject({
      code: 'host.denied',
      message: expect.stringContaining('not known yet') as string,
    });
    await expect(connectHypervisor(uri(far.parameters({ keyfile: 'stranger' })))).rejects.toMatchObject({
      code: 'host.denied',
      message: expect.stringContaining('refuses the login') as string,
    });
    await expect(connectHypervisor(uri(far.parameters()))).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('libvirt does not answer on 127.0.0.1') as string,
    });
    const bare = await host({ without: [HELPER, programOf('nc')] });
    await expect(connectHypervisor(`qemu+ssh://${bare.address}/system?${bare.parameters()}`)).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('neither virt-ssh-helper nor nc') as string,
    });
  });
});
