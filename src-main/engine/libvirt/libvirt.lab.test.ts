import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { EngineError } from '../../../src-shared/errors.ts';
import type { HypervisorEvent } from './hypervisor.ts';
import { hypervisorSuite } from './hypervisor-suite.test-support.ts';
import { connectHypervisor } from './libvirt.ts';
import { startTestDaemon, type TestDaemon } from './rpc/test-daemon.test-support.ts';

function domainXml(name: string, uuid?: string): string {
  const id = uuid === undefined ? '' : `<uuid>${uuid}</uuid>`;
  return `<domain type="test"><name>${name}</name>${id}<memory>8192</memory><os><type>hvm</type></os></domain>`;
}

hypervisorSuite("libvirtd's test driver", async () => {
  const daemon = await startTestDaemon();
  const uri = `test:///default?socket=${daemon.socket}`;
  // The test driver forgets everything when its last connection closes.
  const anchor = await connectHypervisor(uri);
  let bridge = 0;
  return {
    connect: async () => await connectHypervisor(uri),
    domainXml,
    networkXml: (name) =>
      `<network><name>${name}</name><bridge name="vb${bridge++}"/><ip address="192.168.${bridge}.1" netmask="255.255.255.0"/></network>`,
    can: { startPaused: false, deleteMetadataOnly: false, leases: false, shutdown: true, changeRunning: false },
    savePath: (name) => join(daemon.dir, `${name}.save`),
    diskXml: (name) => `<disk type='file' device='disk'><source file='${join(daemon.dir, name)}'/><target dev='vdb' bus='virtio'/></disk>`,
    close: async () => {
      await anchor.close();
      await daemon.stop();
    },
  };
});

describe('a real libvirtd', () => {
  let daemon: TestDaemon;

  beforeAll(async () => {
    daemon = await startTestDaemon();
  });

  afterAll(async () => {
    await daemon.stop();
  });

  it('serves a file with its own domains to slow and fast calls alike', async () => {
    const file = join(daemon.dir, 'node.xml');
    await writeFile(file, `<node>${domainXml('mine')}</node>`);
    const hypervisor = await connectHypervisor(`test://${file}?socket=${daemon.socket}`);
    expect((await hypervisor.listDomains()).map(({ name, state }) => [name, state])).toEqual([['mine', 'running']]);
    await hypervisor.destroyDomain('mine');
    expect((await hypervisor.findDomain('mine'))?.state).toBe('shut off');
    await hypervisor.close();
  });

  it('refuses what it does not know with its own code and words', async () => {
    const refusal = connectHypervisor(`test:///does/not/exist.xml?socket=${daemon.socket}`);
    await expect(refusal).rejects.toMatchObject({
      code: 'hypervisor.failed',
      details: { procedure: 'connectOpen' },
    } satisfies Partial<EngineError>);
    const hypervisor = await connectHypervisor(`test:///default?socket=${daemon.socket}`);
    await expect(hypervisor.startDomain('test')).rejects.toMatchObject({
      code: 'hypervisor.failed',
      message: expect.stringMatching(/^Starting VM test failed: .*already running/) as string,
      details: { procedure: 'domainCreate', libvirtCode: 1, libvirtDomain: 12 },
    });
    await hypervisor.close();
  });

  it('answers keepalive pings', async () => {
    const hypervisor = await connectHypervisor(`test:///default?socket=${daemon.socket}`);
    const events: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => events.push(event));
    // Longer than it takes to give up on a daemon that does not respond.
    await new Promise((resolve) => setTimeout(resolve, 8000));
    expect(events).toEqual([]);
    expect((await hypervisor.findDomain('test'))?.state).toBe('running');
    await hypervisor.close();
  });

  it.each(['SIGKILL', 'SIGSTOP'] as const)('that gets %s is given up, and all waiting calls with it', async (signal) => {
    await using victim = await startTestDaemon();
    const hypervisor = await connectHypervisor(`test:///default?socket=${victim.socket}`);
    const lost = new Promise<HypervisorEvent>((resolve) => hypervisor.onEvent(resolve));
    victim.kill(signal);
    const waiting = await Promise.allSettled([hypervisor.listDomains(), hypervisor.startDomain('test'), hypervisor.listNetworks()]);
    for (const one of waiting) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'hypervisor.disconnected' } });
    expect(await lost).toMatchObject({ type: 'disconnected' });
    await hypervisor.close();
  });
});
