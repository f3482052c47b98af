import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { until } from '../core/until.ts';
import type { Hypervisor, HypervisorEvent } from './hypervisor.ts';

/** A host for the suite, which may define, start and remove anything whose name begins with `lago-suite-`. */
export interface SuiteHost {
  /** A new connection; all of them see the same host. */
  connect(): Promise<Hypervisor>;
  /** A domain that can be started and snapshotted here. Without a uuid, one is generated. */
  domainXml(name: string, uuid?: string): string;
  /** A network that can be started here without disturbing anything. */
  networkXml(name: string): string;
  /** What this hypervisor supports; the rest is tested to be refused. `shutdown`: there is a guest that obeys. */
  readonly can: {
    readonly startPaused: boolean;
    readonly deleteMetadataOnly: boolean;
    readonly leases: boolean;
    readonly shutdown: boolean;
    /** Devices and disks of running domains, jobs, the monitor. */
    readonly changeRunning: boolean;
  };
  /** A file that the daemon can write. */
  savePath(name: string): string;
  /** A small disk `vdb` for a domain. */
  diskXml(name: string): string;
  close(): Promise<void>;
}

type Outcome = { readonly code: string } | 'done';

async function outcomeOf(promise: Promise<unknown>): Promise<Outcome> {
  try {
    await promise;
    return 'done';
  } catch (error) {
    if (error instanceof EngineError) return { code: error.code };
    throw error;
  }
}

const unknownVm = { code: 'vm.missing' };
const failed = { code: 'hypervisor.failed' };

function snapshotXml(name: string): string {
  return `<domainsnapshot><name>${name}</name></domainsnapshot>`;
}

/** What every `Hypervisor` must do, whatever it is based on. `open` is called once, before the first test. */
export function hypervisorSuite(title: string, open: () => Promise<SuiteHost>): void {
  describe(`hypervisor: ${title}`, () => {
    let host: SuiteHost;
    let hypervisor: Hypervisor;
    let events: HypervisorEvent[];
    let counter = 0;
    let vm: string;
    let net: string;

    beforeAll(async () => {
      host = await open();
    });

    afterAll(async () => {
      await host.close();
    });

    beforeEach(async () => {
      counter += 1;
      vm = `lago-suite-vm${counter}`;
      net = `lago-suite-net${counter}`;
      hypervisor = await host.connect();
      const heard: HypervisorEvent[] = [];
      events = heard;
      hypervisor.onEvent((event) => heard.push(event));
    });

    afterEach(async () => {
      // Some tests close their connection.
      const sweeper = await host.connect();
      for (const { name } of await sweeper.listDomains()) {
        if (!name.startsWith('lago-suite-')) continue;
        await sweeper.destroyDomain(name);
        await sweeper.undefineDomain(name);
      }
      for (const { name } of await sweeper.listNetworks()) {
        if (!name.startsWith('lago-suite-')) continue;
        await sweeper.destroyNetwork(name);
        await sweeper.undefineNetwork(name);
      }
      await sweeper.close();
      await hypervisor.close();
    });

    function eventsOf(name: string): readonly string[] {
      return events.flatMap((event) => ((event.type === 'domain' || event.type === 'network') && event.name === name ? [event.event] : []));
    }

    /** Waits until these events have arrived in this order; QEMU sends more in between ("resumed" after each start). */
    async function expectEvents(name: string, expected: readonly string[]): Promise<void> {
      const missing = (): readonly string[] => {
        const left = [...expected];
        for (const event of eventsOf(name)) if (event === left[0]) left.shift();
        return left;
      };
      await until(async () => (missing().length === 0 ? true : undefined), {
        everyMs: 5,
        timeoutMs: 10_000,
        failure: () => new EngineError('internal', `Events of ${name}: ${eventsOf(name).join(', ')} instead of ${expected.join(', ')}`),
      });
    }

    it('tells versions and capabilities', async () => {
      expect((await hypervisor.version()).libvirt).toMatch(/^\d+\.\d+\.\d+$/);
      expect(await hypervisor.capabilities()).toContain('<capabilities>');
    });

    it('takes a VM from nothing to running, paused, off and gone', async () => {
      expect(await hypervisor.findDomain(vm)).toBeUndefined();
      const defined = await hypervisor.defineDomain(host.domainXml(vm));
      expect(defined).toMatchObject({ name: vm, id: -1, state: 'shut off', persistent: true });
      expect(defined.uuid).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
      await hypervisor.startDomain(vm);
      const running = await hypervisor.findDomain(vm);
      expect(running).toMatchObject({ uuid: defined.uuid, state: 'running' });
      expect(running?.id).toBeGreaterThan(0);
      await hypervisor.suspendDomain(vm);
      expect((await hypervisor.findDomain(vm))?.state).toBe('paused');
      await hypervisor.resumeDomain(vm);
      expect((await hypervisor.findDomain(vm))?.state).toBe('running');
      await hypervisor.destroyDomain(vm);
      expect(await hypervisor.findDomain(vm)).toMatchObject({ id: -1, state: 'shut off' });
      await hypervisor.undefineDomain(vm);
      expect(await hypervisor.findDomain(vm)).toBeUndefined();
      await expectEvents(vm, ['defined', 'started', 'suspended', 'resumed', 'stopped', 'undefined']);
    });

    it('lists VMs by name, running ones and others, as every connection sees them', async () => {
      await hypervisor.defineDomain(host.domainXml(`${vm}-b`));
      await hypervisor.defineDomain(host.domainXml(`${vm}-a`));
      await hypervisor.startDomain(`${vm}-b`);
      const other = await host.connect();
      const ours = (await other.listDomains()).filter((domain) => domain.name.startsWith(vm));
      expect(ours.map(({ name, state }) => [name, state])).toEqual([
        [`${vm}-a`, 'shut off'],
        [`${vm}-b`, 'running'],
      ]);
      expect(ours[1]).toEqual(await hypervisor.findDomain(`${vm}-b`));
      await other.close();
    });

    it('works on many VMs at once', async () => {
      const names = Array.from({ length: 12 }, (_, i) => `${vm}-${i}`);
      await Promise.all(names.map(async (name) => await hypervisor.defineDomain(host.domainXml(name))));
      await Promise.all(names.map(async (name) => await hypervisor.startDomain(name)));
      const running = (await hypervisor.listDomains()).filter((domain) => domain.state === 'running').map((domain) => domain.name);
      expect(running).toEqual(expect.arrayContaining(names));
      await Promise.all(names.map(async (name) => await hypervisor.destroyDomain(name)));
    });

    it('keeps the description', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      const text = await hypervisor.domainXml(vm, { inactive: true });
      expect(text).toContain(`<name>${vm}</name>`);
      expect(text).toContain('<uuid>');
      await hypervisor.defineDomain(text);
      expect((await hypervisor.listDomains()).filter((domain) => domain.name === vm)).toHaveLength(1);
    });

    it('destroys and undefines what is off or gone without complaint', async () => {
      await hypervisor.destroyDomain(vm);
      await hypervisor.undefineDomain(vm);
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.destroyDomain(vm);
      await hypervisor.undefineDomain(vm);
      await hypervisor.undefineDomain(vm);
      await hypervisor.destroyNetwork(net);
      await hypervisor.undefineNetwork(net);
    });

    it('says vm.missing for a VM that libvirt does not know', async () => {
      const calls: Promise<unknown>[] = [
        hypervisor.startDomain(vm),
        hypervisor.shutdownDomain(vm),
        hypervisor.rebootDomain(vm),
        hypervisor.resetDomain(vm),
        hypervisor.suspendDomain(vm),
        hypervisor.resumeDomain(vm),
        hypervisor.domainXml(vm),
        hypervisor.screenshot(vm),
        hypervisor.openConsole(vm),
        hypervisor.agentCommand(vm, '{}'),
        hypervisor.listSnapshots(vm),
        hypervisor.snapshotXml(vm, 's'),
        hypervisor.createSnapshot(vm, snapshotXml('s')),
        hypervisor.revertSnapshot(vm, 's'),
        hypervisor.deleteSnapshot(vm, 's'),
        hypervisor.renameDomain(vm, 'other'),
        hypervisor.domainInfo(vm),
        hypervisor.monitorCommand(vm, '{}'),
        hypervisor.sendKeys(vm, [28]),
        hypervisor.interfaceAddresses(vm, 'lease'),
        hypervisor.freezeFilesystems(vm),
        hypervisor.thawFilesystems(vm),
        hypervisor.attachDevice(vm, host.diskXml(vm)),
        hypervisor.detachDevice(vm, host.diskXml(vm)),
        hypervisor.updateDevice(vm, host.diskXml(vm)),
        hypervisor.setLink(vm, '54:52:00:00:00:01', 'down'),
        hypervisor.setMemory(vm, 4096),
        hypervisor.addLayers(vm, [{ disk: 'vda', path: '/nowhere' }]),
        hypervisor.copyDisk(vm, 'vda', host.diskXml(vm)),
        hypervisor.commitDisk(vm, 'vda', 'backing'),
        hypervisor.pullDisk(vm, 'vda'),
        hypervisor.resizeDisk(vm, 'vda', 2 ** 20),
        hypervisor.blockJob(vm, 'vda'),
        hypervisor.endBlockJob(vm, 'vda'),
        hypervisor.managedSave(vm),
        hypervisor.hasManagedSave(vm),
        hypervisor.removeManagedSave(vm),
        hypervisor.saveDomain(vm, host.savePath(vm)),
        hypervisor.domainJob(vm),
        hypervisor.abortJob(vm),
      ];
      expect(await Promise.all(calls.map(outcomeOf))).toEqual(calls.map(() => unknownVm));
    });

    it('refuses what the state or the text does not allow', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      expect(await outcomeOf(hypervisor.suspendDomain(vm))).toEqual(failed);
      expect(await outcomeOf(hypervisor.shutdownDomain(vm))).toEqual(failed);
      expect(await outcomeOf(hypervisor.resetDomain(vm))).toEqual(failed);
      expect(await outcomeOf(hypervisor.openConsole(vm))).toEqual(failed);
      expect(await outcomeOf(hypervisor.agentCommand(vm, '{"execute":"guest-ping"}'))).toEqual(failed);
      await hypervisor.startDomain(vm);
      expect(await outcomeOf(hypervisor.startDomain(vm))).toEqual(failed);
      expect(await outcomeOf(hypervisor.defineDomain('<domain'))).toEqual(failed);
      expect(await outcomeOf(hypervisor.defineDomain('<network><name>x</name></network>'))).toEqual(failed);
    });

    it('refuses a second definition of a name or a uuid', async () => {
      const { uuid } = await hypervisor.defineDomain(host.domainXml(vm));
      expect(await outcomeOf(hypervisor.defineDomain(host.domainXml(vm, '11111111-2222-4333-8444-555555555555')))).toEqual(failed);
      expect(await outcomeOf(hypervisor.defineDomain(host.domainXml(`${vm}-twin`, uuid)))).toEqual(failed);
    });

    it('shuts a guest down', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.startDomain(vm);
      await hypervisor.shutdownDomain(vm);
      if (!host.can.shutdown) {
        expect((await hypervisor.findDomain(vm))?.state).toBe('running');
        return;
      }
      await until(async () => ((await hypervisor.findDomain(vm))?.state === 'shut off' ? true : undefined), {
        everyMs: 50,
        timeoutMs: 60_000,
        failure: () => new EngineError('internal', 'It never went off.'),
      });
    });

    it('starts paused where that is possible', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      const outcome = await outcomeOf(hypervisor.startDomain(vm, { paused: true }));
      expect(outcome).toEqual(host.can.startPaused ? 'done' : failed);
      expect((await hypervisor.findDomain(vm))?.state).toBe(host.can.startPaused ? 'paused' : 'shut off');
    });

    it('takes a picture of the screen', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.startDomain(vm);
      const { mime, bytes } = await hypervisor.screenshot(vm);
      expect(mime).toMatch(/^image\//);
      expect(['PNG', 'P6\n']).toContain(Buffer.from(bytes.subarray(0, 4)).toString('latin1').replace('\x89', '').slice(0, 3));
    });

    it('takes a network up and down', async () => {
      expect(await hypervisor.findNetwork(net)).toBeUndefined();
      expect(await hypervisor.defineNetwork(host.networkXml(net))).toMatchObject({ name: net, active: false, persistent: true });
      await hypervisor.startNetwork(net);
      expect(await hypervisor.findNetwork(net)).toMatchObject({ active: true, persistent: true });
      expect((await hypervisor.listNetworks()).map((network) => network.name)).toContain(net);
      expect(await hypervisor.networkXml(net)).toContain(`<name>${net}</name>`);
      expect(await outcomeOf(hypervisor.startNetwork(net))).toEqual(failed);
      await hypervisor.destroyNetwork(net);
      await hypervisor.destroyNetwork(net);
      expect(await hypervisor.findNetwork(net)).toMatchObject({ active: false });
      await hypervisor.undefineNetwork(net);
      await hypervisor.undefineNetwork(net);
      expect(await hypervisor.findNetwork(net)).toBeUndefined();
      await expectEvents(net, ['defined', 'started', 'stopped', 'undefined']);
      expect(eventsOf(net)).toHaveLength(4);
    });

    it('refuses what it cannot do with a network', async () => {
      expect(await outcomeOf(hypervisor.startNetwork(net))).toEqual(failed);
      expect(await outcomeOf(hypervisor.networkXml(net))).toEqual(failed);
      expect(await outcomeOf(hypervisor.networkLeases(net))).toEqual(failed);
      expect(await outcomeOf(hypervisor.defineNetwork('<network/>'))).toEqual(failed);
      await hypervisor.defineNetwork(host.networkXml(net));
      await hypervisor.startNetwork(net);
      expect(await outcomeOf(hypervisor.networkLeases(net))).toEqual(host.can.leases ? 'done' : failed);
    });

    it('takes snapshots as a tree, reverts to them and forgets them', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      expect(await hypervisor.listSnapshots(vm)).toEqual([]);
      await hypervisor.createSnapshot(vm, snapshotXml('off'));
      await hypervisor.startDomain(vm);
      await hypervisor.createSnapshot(vm, snapshotXml('up'));
      await hypervisor.suspendDomain(vm);
      await hypervisor.createSnapshot(vm, snapshotXml('held'));
      const brief = async (): Promise<unknown> =>
        (await hypervisor.listSnapshots(vm)).map(({ name, parent, state, current }) => [name, parent, state, current]);
      expect(await brief()).toEqual([
        ['off', undefined, 'shutoff', false],
        ['up', 'off', 'running', false],
        ['held', 'up', 'paused', true],
      ]);
      expect((await hypervisor.listSnapshots(vm)).every((one) => Number.isInteger(one.createdAt) && one.createdAt > 1e12)).toBe(true);

      await hypervisor.revertSnapshot(vm, 'up');
      expect((await hypervisor.findDomain(vm))?.state).toBe('running');
      await hypervisor.revertSnapshot(vm, 'held');
      expect((await hypervisor.findDomain(vm))?.state).toBe('paused');
      await hypervisor.revertSnapshot(vm, 'up', { state: 'paused' });
      expect((await hypervisor.findDomain(vm))?.state).toBe('paused');
      await hypervisor.revertSnapshot(vm, 'held', { state: 'running' });
      expect((await hypervisor.findDomain(vm))?.state).toBe('running');
      await hypervisor.revertSnapshot(vm, 'off');
      expect((await hypervisor.findDomain(vm))?.state).toBe('shut off');

      await hypervisor.revertSnapshot(vm, 'up');
      await hypervisor.createSnapshot(vm, snapshotXml('branch'));
      await hypervisor.deleteSnapshot(vm, 'up');
      expect(await brief()).toEqual(
        expect.arrayContaining([
          ['off', undefined, 'shutoff', false],
          ['held', 'off', 'paused', false],
          ['branch', 'off', 'running', true],
        ]),
      );
      await hypervisor.deleteSnapshot(vm, 'branch');
      expect((await hypervisor.listSnapshots(vm)).find((one) => one.current)?.name).toBe('off');
    });

    it('refuses unknown and doubled snapshots', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.createSnapshot(vm, snapshotXml('one'));
      expect(await outcomeOf(hypervisor.createSnapshot(vm, snapshotXml('one')))).toEqual({ code: 'snapshot.exists' });
      const unknown = { code: 'snapshot.missing' };
      expect(await outcomeOf(hypervisor.snapshotXml(vm, 'two'))).toEqual(unknown);
      expect(await outcomeOf(hypervisor.revertSnapshot(vm, 'two'))).toEqual(unknown);
      expect(await outcomeOf(hypervisor.deleteSnapshot(vm, 'two'))).toEqual(unknown);
      expect(await outcomeOf(hypervisor.createSnapshot(vm, 'no xml'))).toEqual({ code: 'input.invalid' });
      const dropped = await outcomeOf(hypervisor.deleteSnapshot(vm, 'one', { metadataOnly: true }));
      expect(dropped).toEqual(host.can.deleteMetadataOnly ? 'done' : failed);
    });

    it('loses the snapshots with the definition and can be told of them again', async () => {
      const { uuid } = await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.createSnapshot(vm, snapshotXml('one'));
      await hypervisor.createSnapshot(vm, snapshotXml('two'));
      await hypervisor.createSnapshot(vm, snapshotXml('three'));
      const before = await hypervisor.listSnapshots(vm);
      const texts = await Promise.all(before.map(async ({ name }) => await hypervisor.snapshotXml(vm, name)));
      await hypervisor.undefineDomain(vm);
      await hypervisor.defineDomain(host.domainXml(vm, uuid));
      expect(await hypervisor.listSnapshots(vm)).toEqual([]);
      for (const [i, text] of texts.entries()) await hypervisor.createSnapshot(vm, text, { redefine: true, current: i === 1 });
      expect(await hypervisor.listSnapshots(vm)).toEqual(before.map((snapshot) => ({ ...snapshot, current: snapshot.name === 'two' })));
      await hypervisor.revertSnapshot(vm, 'one');
      expect((await hypervisor.listSnapshots(vm)).find((one) => one.current)?.name).toBe('one');
    });

    it('renames a VM that is off, and no other', async () => {
      const { uuid } = await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.renameDomain(vm, `${vm}-new`);
      expect(await hypervisor.findDomain(vm)).toBeUndefined();
      expect(await hypervisor.findDomain(`${vm}-new`)).toMatchObject({ uuid, state: 'shut off' });
      await hypervisor.startDomain(`${vm}-new`);
      expect(await outcomeOf(hypervisor.renameDomain(`${vm}-new`, vm))).toEqual(failed);
    });

    it('counts what running VMs use, and leaves out the others', async () => {
      await hypervisor.defineDomain(host.domainXml(`${vm}-off`));
      await hypervisor.defineDomain(host.domainXml(vm));
      const { memoryKiB, maximumMemoryKiB, vcpus, state } = await hypervisor.domainInfo(vm);
      expect([memoryKiB, vcpus, state]).toEqual([maximumMemoryKiB, 1, 'shut off']);
      expect(memoryKiB).toBeGreaterThanOrEqual(8192);
      await hypervisor.startDomain(vm);
      const all = (await hypervisor.domainStatistics()).filter((one) => one.name.startsWith(vm));
      expect(all.map((one) => [one.name, one.state])).toEqual([[vm, 'running']]);
      expect((await hypervisor.domainInfo(vm)).cpuTimeNs).toBeGreaterThanOrEqual(all[0]?.cpuTimeNs ?? Number.NaN);
    });

    it('keeps the state of a VM for its next start, or for none', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      expect(await outcomeOf(hypervisor.managedSave(vm))).toEqual(failed);
      await hypervisor.startDomain(vm);
      await hypervisor.managedSave(vm);
      expect(await hypervisor.findDomain(vm)).toMatchObject({ state: 'shut off', id: -1 });
      expect(await hypervisor.hasManagedSave(vm)).toBe(true);
      await hypervisor.startDomain(vm);
      expect(await hypervisor.hasManagedSave(vm)).toBe(false);
      await hypervisor.managedSave(vm);
      await hypervisor.removeManagedSave(vm);
      expect(await hypervisor.hasManagedSave(vm)).toBe(false);
    });

    it('saves a VM into a file and restores it from there', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.startDomain(vm);
      await hypervisor.saveDomain(vm, host.savePath(vm));
      expect((await hypervisor.findDomain(vm))?.state).toBe('shut off');
      await hypervisor.restoreDomain(host.savePath(vm));
      expect((await hypervisor.findDomain(vm))?.state).toBe('running');
      expect(await outcomeOf(hypervisor.restoreDomain(host.savePath('nothing')))).toEqual(failed);
    });

    it('changes the memory of a definition, and no further than its maximum', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.setMemory(vm, 4096, { config: true });
      expect(await hypervisor.domainInfo(vm)).toMatchObject({ memoryKiB: 4096 });
      expect(await outcomeOf(hypervisor.setMemory(vm, 2 ** 30, { config: true }))).toEqual(failed);
    });

    it('adds and removes a device, in the definition and while the VM runs', async () => {
      const config = { config: true };
      await hypervisor.defineDomain(host.domainXml(vm));
      const added = await outcomeOf(hypervisor.attachDevice(vm, host.diskXml(vm), config));
      expect(added).toEqual(host.can.changeRunning ? 'done' : failed);
      if (!host.can.changeRunning) return;
      const hasDisk = async (inactive: boolean): Promise<boolean> =>
        /<target dev=['"]vdb['"]/.test(await hypervisor.domainXml(vm, { inactive }));
      expect(await outcomeOf(hypervisor.attachDevice(vm, host.diskXml(vm), config))).toEqual(failed);
      expect(await outcomeOf(hypervisor.attachDevice(vm, host.diskXml(vm), { live: true }))).toEqual(failed);
      await hypervisor.detachDevice(vm, host.diskXml(vm), config);
      expect(await hasDisk(true)).toBe(false);
      await hypervisor.startDomain(vm);
      await hypervisor.attachDevice(vm, host.diskXml(vm), { live: true });
      expect([await hasDisk(false), await hasDisk(true)]).toEqual([true, false]);
      expect(await outcomeOf(hypervisor.detachDevice(vm, host.diskXml(vm), { config: true }))).toEqual(failed);
    });

    it('knows of no work where there is none', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      await hypervisor.startDomain(vm);
      if (!host.can.changeRunning) {
        const calls = [hypervisor.domainJob(vm), hypervisor.blockJob(vm, 'vda'), hypervisor.monitorCommand(vm, '{}')];
        expect(await Promise.all(calls.map(outcomeOf))).toEqual([failed, failed, failed]);
        return;
      }
      expect(await hypervisor.domainJob(vm)).toBeUndefined();
      expect(await outcomeOf(hypervisor.abortJob(vm))).toEqual(failed);
      expect(await hypervisor.blockJob(vm, 'vda')).toBeUndefined();
      expect(await outcomeOf(hypervisor.blockJob(vm, 'vdz'))).toEqual(failed);
      expect(await outcomeOf(hypervisor.endBlockJob(vm, 'vdz'))).toEqual(failed);
    });

    it('presses keys and knows the addresses of NICs', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      expect(await outcomeOf(hypervisor.sendKeys(vm, [28]))).toEqual(failed);
      await hypervisor.startDomain(vm);
      await hypervisor.sendKeys(vm, [29, 46], { holdMs: 5 });
      expect(await hypervisor.interfaceAddresses(vm, 'lease')).toEqual([]);
    });

    it('changes a network while it is up', async () => {
      await hypervisor.defineNetwork(host.networkXml(net));
      await hypervisor.startNetwork(net);
      const xml = "<host ip='192.168.77.7'><hostname>seven</hostname></host>";
      await hypervisor.updateNetwork(net, { command: 'add', section: 'dns host', xml }, { live: true });
      expect(await hypervisor.networkXml(net)).toContain('192.168.77.7');
      await hypervisor.updateNetwork(net, { command: 'delete', section: 'dns host', xml }, { live: true });
      expect(await hypervisor.networkXml(net)).not.toContain('192.168.77.7');
    });

    it('rejects with cancelled when the signal is aborted', async () => {
      await hypervisor.defineDomain(host.domainXml(vm));
      const cancelled = { code: 'cancelled' };
      expect(await outcomeOf(hypervisor.startDomain(vm, {}, { signal: AbortSignal.abort() }))).toEqual(cancelled);
      expect((await hypervisor.findDomain(vm))?.state).toBe('shut off');
      const abort = new AbortController();
      const list = outcomeOf(hypervisor.listDomains({ signal: abort.signal }));
      abort.abort();
      expect(await list).toEqual(cancelled);
    });

    it('says closed once, rejects later calls and tells nothing more', async () => {
      const unheard: HypervisorEvent[] = [];
      const unsubscribe = hypervisor.onEvent((event) => unheard.push(event));
      unsubscribe();
      await hypervisor.close();
      expect(await outcomeOf(hypervisor.listDomains())).toEqual({ code: 'hypervisor.disconnected' });
      const other = await host.connect();
      await other.defineDomain(host.domainXml(vm));
      await other.close();
      await hypervisor.close();
      expect(events.map((event) => event.type)).toEqual(['closed']);
      expect(unheard).toEqual([]);
    });
  });
}
