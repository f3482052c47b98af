import { readFile } from 'node:fs/promises';
import { type Duplex, PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { chainOf, commitBelow, pullInto } from './disk-files.fake.ts';
import type { CallOptions, Hypervisor, HypervisorEvent } from './hypervisor.ts';
import { diskFilesOf } from './hypervisor-devices.fake.ts';
import { FakeFaults, type FakeMethod, libvirtError, READING } from './hypervisor-faults.fake.ts';
import { FakeModel } from './hypervisor-model.fake.ts';
import { readSaveImage } from './monitor.fake.ts';
import { LIBVIRT_ERROR } from './rpc/protocol.ts';

export interface FakeHypervisorOptions {
  /** Can be shared between connections; default a new, empty one. */
  readonly model?: FakeModel;
  /** Can be shared, to count calls and inject faults over several connections. */
  readonly faults?: FakeFaults;
  readonly uri?: string;
  /** Replies of the guest agent; default an empty result. */
  readonly agent?: (domain: string, command: string) => string;
  /** Replies of QEMU's monitor; default an empty result. */
  readonly monitor?: (domain: string, command: string) => string;
  /** Whether the disks' files are there, as a VM needs them, and jobs change them; by default they are names only. */
  readonly realDisks?: boolean;
  /** The far end of a serial console; by default it echoes. */
  readonly console?: (domain: string) => Duplex;
  readonly capabilities?: string;
  readonly domainCapabilities?: string;
}

/** A hypervisor in memory, with its host and its faults open to tests. */
export interface FakeHypervisor extends Hypervisor {
  readonly model: FakeModel;
  readonly faults: FakeFaults;
  /** Breaks the connection as if the daemon had died; until `reconnect` every call fails. */
  disconnect(reason?: string): void;
  /** The daemon is there again. */
  reconnect(): void;
}

const CAPABILITIES =
  '<capabilities><host><cpu><arch>x86_64</arch></cpu></host><guest><os_type>hvm</os_type><arch name="x86_64"/></guest></capabilities>';
const DOMAIN_CAPABILITIES =
  '<domainCapabilities><domain>qemu</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch></domainCapabilities>';
/** One black pixel. */
const PICTURE = Uint8Array.from([...Buffer.from('P6\n1 1\n255\n'), 0, 0, 0]);

class Fake implements FakeHypervisor {
  readonly uri: string;
  readonly model: FakeModel;
  readonly faults: FakeFaults;
  readonly #options: FakeHypervisorOptions;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  readonly #pending = new Set<(error: EngineError) => void>();
  readonly #consoles = new Map<string, Duplex>();
  readonly #unsubscribe: () => void;
  /** Why there is no connection. */
  #lost: string | undefined;
  #closed = false;

  constructor(options: FakeHypervisorOptions) {
    this.#options = options;
    this.uri = options.uri ?? 'fake:///default';
    this.model = options.model ?? new FakeModel();
    this.faults = options.faults ?? new FakeFaults();
    this.#unsubscribe = this.model.onEvent((event) => {
      // As over a socket: never within the call that causes the event.
      queueMicrotask(() => this.#emit(event));
    });
  }

  #emit(event: HypervisorEvent): void {
    if (this.#closed || (this.#lost !== undefined && event.type !== 'disconnected')) return;
    if (event.type === 'domain' && event.event === 'stopped') {
      this.#consoles.get(event.name)?.destroy();
      this.#consoles.delete(event.name);
    }
    for (const listener of this.#listeners) listener(event);
  }

  #gone(doing: string): EngineError {
    return new EngineError(
      'hypervisor.disconnected',
      `${doing} failed: the connection to libvirt is gone: ${this.#lost ?? 'it was closed'}.`,
      {
        hint: 'Check that libvirt is running.',
      },
    );
  }

  /** Like the real one: on cancel or timeout a query fails at once; a change, once begun, is waited for. */
  async #call<T>(method: FakeMethod, subject: string, options: CallOptions | undefined, work: () => T | Promise<T>): Promise<T> {
    if (this.#lost !== undefined) throw this.#gone(method);
    if (options?.signal?.aborted === true) throw new EngineError('cancelled', `${method} was cancelled.`);
    const { delayMs, fault } = this.faults.begin(method, subject);
    let cleanUp = (): void => undefined;
    const interrupted = new Promise<never>((_, reject) => {
      const onAbort = (): void => reject(new EngineError('cancelled', `${method} was cancelled.`));
      const onGone = (error: EngineError): void => reject(error);
      const onTimeout = (): void => reject(new EngineError('hypervisor.failed', `${method} failed: libvirt did not answer in time.`));
      const timer = options?.timeoutMs === undefined ? undefined : setTimeout(onTimeout, options.timeoutMs);
      if (READING.has(method)) options?.signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.add(onGone);
      cleanUp = () => {
        clearTimeout(timer);
        options?.signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(onGone);
      };
    });
    const effect = async (): Promise<T> => {
      await (delayMs > 0 ? delay(delayMs) : Promise.resolve());
      if (fault?.when === 'before') throw fault.error;
      const result = await work();
      if (fault?.when === 'after') throw fault.error;
      return result;
    };
    try {
      return await Promise.race([effect(), interrupted]);
    } finally {
      cleanUp();
    }
  }

  /** Like QEMU, which opens all files of its disks. */
  #requireDisks(domainXml: string): void {
    if (this.#options.realDisks === true) for (const file of diskFilesOf(domainXml).values()) chainOf(file);
  }

  #fileOf(name: string, disk: string): string {
    return diskFilesOf(this.model.domainXml(name, false)).get(disk) ?? '';
  }

  version: Hypervisor['version'] = async (options) =>
    await this.#call('version', '', options, () => ({ libvirt: '9.0.0', hypervisor: '' }));
  capabilities: Hypervisor['capabilities'] = async (options) =>
    await this.#call('capabilities', '', options, () => this.#options.capabilities ?? CAPABILITIES);
  domainCapabilities: Hypervisor['domainCapabilities'] = async (_query, options) =>
    await this.#call('domainCapabilities', '', options, () => this.#options.domainCapabilities ?? DOMAIN_CAPABILITIES);

  listDomains: Hypervisor['listDomains'] = async (options) => await this.#call('listDomains', '', options, () => this.model.listDomains());
  findDomain: Hypervisor['findDomain'] = async (name, options) =>
    await this.#call('findDomain', name, options, () => this.model.findDomain(name));
  domainXml: Hypervisor['domainXml'] = async (name, query, options) =>
    await this.#call('domainXml', name, options, () => this.model.domainXml(name, query?.inactive === true));
  defineDomain: Hypervisor['defineDomain'] = async (xml, options) =>
    await this.#call('defineDomain', xml, options, () => this.model.defineDomain(xml));
  startDomain: Hypervisor['startDomain'] = async (name, how, options) =>
    await this.#call('startDomain', name, options, () => {
      this.#requireDisks(this.model.domainXml(name, true));
      this.model.startDomain(name, how?.paused === true);
    });
  destroyDomain: Hypervisor['destroyDomain'] = async (name, options) =>
    await this.#call('destroyDomain', name, options, () => this.model.destroyDomain(name));
  shutdownDomain: Hypervisor['shutdownDomain'] = async (name, how, options) =>
    await this.#call('shutdownDomain', name, options, () => this.model.shutdownDomain(name, how?.by));
  rebootDomain: Hypervisor['rebootDomain'] = async (name, how, options) =>
    await this.#call('rebootDomain', name, options, () => this.model.rebootDomain(name, how?.by));
  resetDomain: Hypervisor['resetDomain'] = async (name, options) =>
    await this.#call('resetDomain', name, options, () => this.model.resetDomain(name));
  suspendDomain: Hypervisor['suspendDomain'] = async (name, options) =>
    await this.#call('suspendDomain', name, options, () => this.model.suspendDomain(name));
  resumeDomain: Hypervisor['resumeDomain'] = async (name, options) =>
    await this.#call('resumeDomain', name, options, () => this.model.resumeDomain(name));
  undefineDomain: Hypervisor['undefineDomain'] = async (name, options) =>
    await this.#call('undefineDomain', name, options, () => this.model.undefineDomain(name));

  screenshot: Hypervisor['screenshot'] = async (name, options) =>
    await this.#call('screenshot', name, options, () => {
      this.model.requireActive(name, 'Taking a picture of');
      return { mime: 'image/x-portable-pixmap', bytes: PICTURE };
    });

  agentCommand: Hypervisor['agentCommand'] = async (name, command, options) =>
    await this.#call('agentCommand', name, options, () => {
      this.model.requireActive(name, 'Asking the guest agent of');
      return this.#options.agent?.(name, command) ?? '{"return":{}}';
    });

  openConsole: Hypervisor['openConsole'] = async (name, how, options) =>
    await this.#call('openConsole', name, options, () => {
      this.model.requireActive(name, 'Opening the console of');
      const held = this.#consoles.get(name);
      if (held !== undefined && !held.destroyed) {
        if (how?.force !== true)
          throw libvirtError(`Opening the console of VM ${name} failed: Active console session exists for this domain`, 9);
        held.destroy();
      }
      const stream = this.#options.console?.(name) ?? new PassThrough();
      this.#consoles.set(name, stream);
      return stream;
    });

  listNetworks: Hypervisor['listNetworks'] = async (options) =>
    await this.#call('listNetworks', '', options, () => this.model.listNetworks());
  findNetwork: Hypervisor['findNetwork'] = async (name, options) =>
    await this.#call('findNetwork', name, options, () => this.model.findNetwork(name));
  networkXml: Hypervisor['networkXml'] = async (name, options) =>
    await this.#call('networkXml', name, options, () => this.model.networkXml(name));
  defineNetwork: Hypervisor['defineNetwork'] = async (xml, options) =>
    await this.#call('defineNetwork', xml, options, () => this.model.defineNetwork(xml));
  startNetwork: Hypervisor['startNetwork'] = async (name, options) =>
    await this.#call('startNetwork', name, options, () => this.model.startNetwork(name));
  destroyNetwork: Hypervisor['destroyNetwork'] = async (name, options) =>
    await this.#call('destroyNetwork', name, options, () => this.model.destroyNetwork(name));
  undefineNetwork: Hypervisor['undefineNetwork'] = async (name, options) =>
    await this.#call('undefineNetwork', name, options, () => this.model.undefineNetwork(name));
  networkLeases: Hypervisor['networkLeases'] = async (name, options) =>
    await this.#call('networkLeases', name, options, () => this.model.networkLeases(name));

  listSnapshots: Hypervisor['listSnapshots'] = async (domain, options) =>
    await this.#call('listSnapshots', domain, options, () => this.model.listSnapshots(domain));
  snapshotXml: Hypervisor['snapshotXml'] = async (domain, name, options) =>
    await this.#call('snapshotXml', domain, options, () => this.model.snapshotXml(domain, name));
  createSnapshot: Hypervisor['createSnapshot'] = async (domain, xml, how, options) =>
    await this.#call('createSnapshot', domain, options, () =>
      this.model.createSnapshot(domain, xml, { redefine: how?.redefine === true, current: how?.current === true }),
    );
  revertSnapshot: Hypervisor['revertSnapshot'] = async (domain, name, how, options) =>
    await this.#call('revertSnapshot', domain, options, () => this.model.revertSnapshot(domain, name, how?.state));
  deleteSnapshot: Hypervisor['deleteSnapshot'] = async (domain, name, _how, options) =>
    await this.#call('deleteSnapshot', domain, options, () => this.model.deleteSnapshot(domain, name));

  renameDomain: Hypervisor['renameDomain'] = async (name, newName, options) =>
    await this.#call('renameDomain', name, options, () => this.model.renameDomain(name, newName));
  domainInfo: Hypervisor['domainInfo'] = async (name, options) =>
    await this.#call('domainInfo', name, options, () => this.model.domainInfo(name));
  domainStatistics: Hypervisor['domainStatistics'] = async (options) =>
    await this.#call('domainStatistics', '', options, () => this.model.statistics());
  sendKeys: Hypervisor['sendKeys'] = async (name, _keys, _how, options) =>
    await this.#call('sendKeys', name, options, () => this.model.requireActive(name, 'Sending keys to'));
  interfaceAddresses: Hypervisor['interfaceAddresses'] = async (name, source, options) =>
    await this.#call('interfaceAddresses', name, options, () => this.model.interfaceAddresses(name, source));
  freezeFilesystems: Hypervisor['freezeFilesystems'] = async (name, options) =>
    await this.#call('freezeFilesystems', name, options, () => this.model.freeze(name, true));
  thawFilesystems: Hypervisor['thawFilesystems'] = async (name, options) =>
    await this.#call('thawFilesystems', name, options, () => this.model.freeze(name, false));
  attachDevice: Hypervisor['attachDevice'] = async (name, xml, scope, options) =>
    await this.#call('attachDevice', name, options, () => this.model.changeDevice(name, 'attach', xml, scope));
  detachDevice: Hypervisor['detachDevice'] = async (name, xml, scope, options) =>
    await this.#call('detachDevice', name, options, () => this.model.changeDevice(name, 'detach', xml, scope));
  updateDevice: Hypervisor['updateDevice'] = async (name, xml, scope, options) =>
    await this.#call('updateDevice', name, options, () => this.model.changeDevice(name, 'update', xml, scope));
  setLink: Hypervisor['setLink'] = async (name, mac, link, scope, options) =>
    await this.#call('setLink', name, options, () => this.model.setLink(name, mac, link, scope));
  setMemory: Hypervisor['setMemory'] = async (name, memoryKiB, scope, options) =>
    await this.#call('setMemory', name, options, () => this.model.setMemory(name, memoryKiB, scope));
  addLayers: Hypervisor['addLayers'] = async (name, layers, _how, options) =>
    await this.#call('addLayers', name, options, () => {
      if (this.#options.realDisks === true) for (const { path } of layers) chainOf(path);
      this.model.addLayers(name, layers);
    });
  copyDisk: Hypervisor['copyDisk'] = async (name, disk, _xml, _how, options) =>
    await this.#call('copyDisk', name, options, () => this.model.startBlockJob(name, disk, 'copy'));
  commitDisk: Hypervisor['commitDisk'] = async (name, disk, into, options) =>
    await this.#call('commitDisk', name, options, async () => {
      if (into === 'backing' || into.top === undefined) {
        this.model.startBlockJob(name, disk, 'active commit');
        return;
      }
      this.model.requireNoJob(name, disk);
      const { base, top: from, relative } = into;
      if (this.#options.realDisks === true) await commitBelow(this.#fileOf(name, disk), { base, from, relative });
      this.model.startBlockJob(name, disk, 'commit');
    });
  pullDisk: Hypervisor['pullDisk'] = async (name, disk, how, options) =>
    await this.#call('pullDisk', name, options, async () => {
      this.model.requireNoJob(name, disk);
      if (this.#options.realDisks === true) await pullInto(this.#fileOf(name, disk), how ?? {});
      this.model.startBlockJob(name, disk, 'pull');
    });
  resizeDisk: Hypervisor['resizeDisk'] = async (name, disk, _bytes, options) =>
    await this.#call('resizeDisk', name, options, () => this.model.requireDisk(name, disk));
  blockJob: Hypervisor['blockJob'] = async (name, disk, options) =>
    await this.#call('blockJob', name, options, () => this.model.blockJob(name, disk));
  endBlockJob: Hypervisor['endBlockJob'] = async (name, disk, how, options) =>
    await this.#call('endBlockJob', name, options, () => this.model.endBlockJob(name, disk, how?.pivot === true));
  managedSave: Hypervisor['managedSave'] = async (name, options) =>
    await this.#call('managedSave', name, options, () => this.model.managedSave(name));
  hasManagedSave: Hypervisor['hasManagedSave'] = async (name, options) =>
    await this.#call('hasManagedSave', name, options, () => this.model.hasManagedSave(name));
  removeManagedSave: Hypervisor['removeManagedSave'] = async (name, options) =>
    await this.#call('removeManagedSave', name, options, () => this.model.removeManagedSave(name));
  saveDomain: Hypervisor['saveDomain'] = async (name, path, options) =>
    await this.#call('saveDomain', name, options, () => this.model.saveDomain(name, path));
  restoreDomain: Hypervisor['restoreDomain'] = async (path, how, options) =>
    await this.#call('restoreDomain', path, options, async () => {
      if (this.#options.realDisks !== true || this.model.hasSave(path)) {
        this.model.restoreDomain(path, how?.state);
        return;
      }
      const { xml, memory } = readSaveImage(path, await readFile(path));
      this.#requireDisks(how?.xml ?? xml);
      this.model.restoreMemory(how?.xml ?? xml, memory, how?.state !== 'running');
    });
  domainJob: Hypervisor['domainJob'] = async (name, options) =>
    await this.#call('domainJob', name, options, () => {
      this.model.domain(name);
      // Nothing takes time here.
      return undefined;
    });
  abortJob: Hypervisor['abortJob'] = async (name, options) =>
    await this.#call('abortJob', name, options, () => {
      this.model.domain(name);
      throw libvirtError(`Stopping the work on VM ${name} failed: no job is active on the domain`, LIBVIRT_ERROR.operationInvalid);
    });
  updateNetwork: Hypervisor['updateNetwork'] = async (name, change, _scope, options) =>
    await this.#call('updateNetwork', name, options, () => this.model.updateNetwork(name, change));
  monitorCommand: Hypervisor['monitorCommand'] = async (name, command, options) =>
    await this.#call('monitorCommand', name, options, () => {
      this.model.requireActive(name, 'Asking the monitor of');
      return this.#options.monitor?.(name, command) ?? '{"return":{}}';
    });

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  disconnect(reason = 'libvirt closed the connection'): void {
    if (this.#lost !== undefined) return;
    this.#lost = reason;
    for (const reject of this.#pending) reject(this.#gone('The call'));
    for (const stream of this.#consoles.values()) stream.destroy();
    this.#emit({ type: 'disconnected', reason });
  }

  reconnect(): void {
    if (this.#closed || this.#lost === undefined) return;
    this.#lost = undefined;
    this.#emit({ type: 'connected' });
  }

  /** Waits for `reconnect`, without a limit of its own. */
  async whenConnected(): Promise<void> {
    if (this.#lost === undefined) return;
    if (this.#closed) throw this.#gone('Connecting');
    await new Promise<void>((resolve) => {
      const forget = this.onEvent((event) => {
        if (event.type !== 'connected') return;
        forget();
        resolve();
      });
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#unsubscribe();
    const reason = 'it was closed';
    this.#lost ??= reason;
    for (const reject of this.#pending) reject(this.#gone('The call'));
    for (const stream of this.#consoles.values()) stream.destroy();
    this.#closed = true;
    for (const listener of this.#listeners) listener({ type: 'closed' });
    this.#listeners.clear();
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * A `Hypervisor` without libvirt, for testing code built on it: same semantics (the same suite runs on both), a model that tests can
 * compare before and after, and faults at any step. A failed call leaves the model unchanged, unless the fault says `after`.
 */
export function createFakeHypervisor(options: FakeHypervisorOptions = {}): FakeHypervisor {
  return new Fake(options);
}
