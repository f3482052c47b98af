import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import { startEmbeddedHost } from '../host/embedded/embedded.ts';
import type { EmbeddedHost } from '../host/host.ts';
import type { HypervisorEvent } from './hypervisor.ts';
import { hypervisorSuite } from './hypervisor-suite.test-support.ts';
import { connectHypervisor } from './libvirt.ts';
import { bestProcessor, machineProcessor, vendorOf } from './xml/processor.ts';

interface QemuLab {
  readonly host: EmbeddedHost;
  readonly folder: string;
  diskXml(name: string, dev?: string): string;
  domainXml(name: string, uuid?: string): string;
  networkXml(name: string): string;
  close(): Promise<void>;
}

/** A private libvirt with QEMU, and VMs that only run their firmware: one small disk, a console, a screen. */
async function startLab(): Promise<QemuLab> {
  const folder = await mkdtemp(join(tmpdir(), 'lago-qemu-'));
  const environment = { ...process.env };
  Object.assign(process.env, { LAGO_CONFINED: '1', XDG_CACHE_HOME: join(folder, 'cache') });
  const resourcesDir = resolve(import.meta.dirname, '../../../resources');
  try {
    const spec = { id: randomBytes(16).toString('hex'), stateDir: join(folder, 'host'), uplink: 'none', accelerator: 'tcg' } as const;
    const host = await startEmbeddedHost(spec, { resourcesDir, log: silentLog });
    // One disk per name: the suite runs VMs of different names in parallel.
    const disks = Array.from({ length: 40 }, (_, i) => join(folder, `${i}.qcow2`));
    for (const disk of disks) await runChecked(['qemu-img', 'create', '-q', '-f', 'qcow2', disk, '1M'], 'The disk could not be made.');
    const taken = new Map<string, string>();
    const diskOf = (name: string): string => {
      const disk = taken.get(name) ?? disks[taken.size] ?? '';
      taken.set(name, disk);
      return disk;
    };
    let bridge = 0;
    return {
      host,
      folder,
      diskXml: (name, dev = 'vdb') =>
        `<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='${diskOf(`${name}/${dev}`)}'/><target dev='${dev}' bus='virtio'/></disk>`,
      domainXml: (name, uuid) => `<domain type='qemu'><name>${name}</name>${uuid === undefined ? '' : `<uuid>${uuid}</uuid>`}
        <memory unit='MiB'>24</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><features><acpi/></features>
        <devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
        <disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='unsafe'/><source file='${diskOf(name)}'/><target dev='vda' bus='virtio'/></disk>
        <controller type='usb' model='none'/><memballoon model='none'/><serial type='pty'/><console type='pty'/>
        <graphics type='vnc' socket='${join(host.socketDir, `${taken.size}.vnc`)}'/><video><model type='vga'/></video></devices></domain>`,
      networkXml: (name) => {
        bridge += 1;
        return `<network><name>${name}</name><bridge name='suite${bridge}' stp='off'/></network>`;
      },
      close: async () => {
        await host.stop();
        process.env = environment;
        await rm(folder, { recursive: true, force: true });
      },
    };
  } catch (error) {
    process.env = environment;
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

hypervisorSuite('QEMU', async () => {
  const lab = await startLab();
  return {
    connect: async () => await connectHypervisor(lab.host.uri),
    domainXml: lab.domainXml,
    networkXml: lab.networkXml,
    can: { startPaused: true, deleteMetadataOnly: true, leases: true, shutdown: false, changeRunning: true },
    savePath: (name) => join(lab.folder, `${name}.save`),
    diskXml: lab.diskXml,
    close: lab.close,
  };
});

describe('a QEMU domain', () => {
  let lab: QemuLab;

  beforeAll(async () => {
    lab = await startLab();
  });

  afterAll(async () => {
    await lab.close();
  });

  it('has versions and capabilities of its own', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    expect((await hypervisor.version()).hypervisor).toMatch(/^\d+\.\d+\.\d+$/);
    const text = await hypervisor.domainCapabilities({ arch: 'x86_64', virtType: 'qemu', machine: 'pc' });
    expect(text).toContain('<arch>x86_64</arch>');
    const best = bestProcessor(await hypervisor.domainCapabilities({ arch: 'x86_64', virtType: 'qemu' }));
    expect(best?.model).toMatch(/^[A-Z]/);
    expect(vendorOf('Westmere', text)).toBe('Intel');
    expect(machineProcessor(await hypervisor.capabilities())?.vendor).toMatch(/^(Intel|AMD|Hygon)$/);
  });

  it('has one console at a time, which can be taken over, and which ends with the VM', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    await hypervisor.defineDomain(lab.domainXml('console'));
    await hypervisor.startDomain('console');
    const first = await hypervisor.openConsole('console');
    await expect(hypervisor.openConsole('console')).rejects.toMatchObject({ code: 'hypervisor.failed' });
    first.resume();
    const taken = once(first, 'close');
    const second = await hypervisor.openConsole('console', { force: true });
    await taken;
    second.resume();
    second.write('x');
    const ended = once(second, 'close');
    await hypervisor.destroyDomain('console');
    await ended;
    await hypervisor.undefineDomain('console');
  });

  it('answers its monitor, and counts what it uses', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    await hypervisor.defineDomain(lab.domainXml('counted'));
    await hypervisor.startDomain('counted');
    expect(JSON.parse(await hypervisor.monitorCommand('counted', '{"execute":"query-status"}'))).toMatchObject({
      return: { status: 'running' },
    });
    const [usage] = await hypervisor.domainStatistics();
    expect(usage).toMatchObject({ name: 'counted', state: 'running', vcpus: 1, disks: [{ dev: 'vda', capacity: 2 ** 20 }] });
    expect(usage?.cpuTimeNs).toBeGreaterThan(0);
    expect(usage?.memoryKiB.current).toBe(24 * 1024);
    await hypervisor.resizeDisk('counted', 'vda', 2 ** 21);
    expect((await hypervisor.domainStatistics())[0]?.disks[0]?.capacity).toBe(2 ** 21);
    await hypervisor.destroyDomain('counted');
    await hypervisor.undefineDomain('counted');
  });

  it('commits its active layer, copies and completes a disk, and reports each end', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    const statuses: string[] = [];
    hypervisor.onEvent((event) => {
      if (event.type === 'block job') statuses.push(`${event.kind} ${event.status}`);
    });
    const heard = async (text: string): Promise<void> => {
      await expect.poll(() => statuses, { timeout: 30_000 }).toContain(text);
    };
    await hypervisor.defineDomain(lab.domainXml('layers'));
    await hypervisor.startDomain('layers');
    await hypervisor.addLayers('layers', [{ disk: 'vda', path: join(lab.folder, 'first.qcow2') }]);
    expect(await hypervisor.listSnapshots('layers')).toEqual([]);
    await hypervisor.commitDisk('layers', 'vda', 'backing');
    await heard('active commit ready');
    expect(await hypervisor.blockJob('layers', 'vda')).toMatchObject({ kind: 'active commit' });
    await hypervisor.endBlockJob('layers', 'vda', { pivot: true });
    await heard('active commit completed');
    expect(await hypervisor.domainXml('layers')).not.toContain('first.qcow2');

    await hypervisor.addLayers('layers', [{ disk: 'vda', path: join(lab.folder, 'second.qcow2') }]);
    await hypervisor.pullDisk('layers', 'vda');
    await heard('pull completed');
    expect(await hypervisor.domainXml('layers')).not.toContain('<backingStore type=');

    const copy = `<disk type='file'><driver type='qcow2'/><source file='${join(lab.folder, 'copy.qcow2')}'/></disk>`;
    await hypervisor.copyDisk('layers', 'vda', copy);
    await heard('copy ready');
    await hypervisor.endBlockJob('layers', 'vda');
    await heard('copy cancelled');
    await hypervisor.destroyDomain('layers');
    await hypervisor.undefineDomain('layers');
  });

  it('has a guest that does not let go of a disk', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    await hypervisor.defineDomain(lab.domainXml('holds'));
    await hypervisor.startDomain('holds');
    await hypervisor.attachDevice('holds', lab.diskXml('holds'), { live: true });
    // There is nothing but firmware in this guest.
    const detach = hypervisor.detachDevice('holds', lab.diskXml('holds'), { live: true }, { timeoutMs: 8000 });
    await expect(detach).rejects.toMatchObject({ code: 'hypervisor.failed', hint: expect.any(String) as string });
    await hypervisor.destroyDomain('holds');
    await hypervisor.undefineDomain('holds');
  });

  it('comes back after libvirt was killed: the same VMs, new events, within 2 s', async () => {
    await using hypervisor = await connectHypervisor(lab.host.uri);
    await hypervisor.defineDomain(lab.domainXml('outlives'));
    await hypervisor.startDomain('outlives');
    const before = await hypervisor.findDomain('outlives');
    const heard: HypervisorEvent[] = [];
    hypervisor.onEvent((event) => heard.push(event));
    await lab.host.run(['sh', '-c', 'kill -KILL "$(cat /run/libvirtd.pid)"']);
    await expect.poll(() => heard.map((event) => event.type), { timeout: 10_000 }).toEqual(['disconnected', 'connected']);
    expect(await hypervisor.findDomain('outlives')).toEqual(before);
    await hypervisor.suspendDomain('outlives');
    await expect.poll(() => heard.at(-1), { timeout: 10_000 }).toMatchObject({ type: 'domain', event: 'suspended' });
    await hypervisor.destroyDomain('outlives');
    await hypervisor.undefineDomain('outlives');
  });
});
