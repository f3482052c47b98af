import { randomUUID } from 'node:crypto';
import { EngineError } from '../../../src-shared/errors.ts';
import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../core/xml/read-xml.ts';
import type {
  BlockJob,
  ChangeScope,
  DhcpLease,
  DomainInfo,
  DomainSnapshot,
  DomainStatistics,
  DomainStatus,
  GuestInterface,
  HypervisorEvent,
  NetworkStatus,
} from './hypervisor.ts';
import {
  changeDeviceXml,
  changeNetworkXml,
  type DeviceChange,
  disksOf,
  memoryOf,
  type NetworkChange,
  nicsOf,
  withLayers,
  withMemory,
} from './hypervisor-devices.fake.ts';
import { libvirtError } from './hypervisor-faults.fake.ts';
import type { Domain, FakeState, Network, Snapshot } from './hypervisor-state.fake.ts';
import { LIBVIRT_ERROR } from './rpc/protocol.ts';
import { sortSnapshots } from './rpc/values.ts';
import { nicWithLink } from './xml/device-xml.ts';

const INVALID_ARGUMENT = 8;
const OPERATION_FAILED = 9;
const XML_ERROR = 27;
/** virDomainEventStoppedDetailType. */
const STOPPED_SAVED = 4;

function invalid(message: string): EngineError {
  return libvirtError(message, LIBVIRT_ERROR.operationInvalid);
}

function withUuid(xml: string, element: XmlElement, uuid: string): string {
  return textXml(element, 'uuid') === undefined ? xml.replace('</name>', `</name>\n  <uuid>${uuid}</uuid>`) : xml;
}

function parse(xml: string, root: string, doing: string): { readonly element: XmlElement; readonly name: string } {
  const element = readXml(xml, { what: doing });
  const name = textXml(element, 'name') ?? '';
  if (element.name !== root) throw libvirtError(`${doing}: the root element is <${element.name}>, not <${root}>`, XML_ERROR);
  if (name === '') throw libvirtError(`${doing}: no name`, XML_ERROR);
  return { element, name };
}

function escapeXml(text: string): string {
  return text.replace(/[<>&'"]/g, (character) => `&#${character.charCodeAt(0)};`);
}

const isActive = (domain: Domain): boolean => domain.id !== -1;

/**
 * A fake libvirt host in memory: its domains, networks and snapshots, and the effect of each operation on them. Synchronous; several fake
 * connections may share one. It follows the QEMU driver where a recipe could notice: names and uuids are kept together, a domain does not
 * start while one of its networks is down, snapshot metadata goes with the definition.
 */
export class FakeModel {
  readonly #domains = new Map<string, Domain>();
  readonly #networks = new Map<string, Network>();
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  /** Saved domains by file. */
  readonly #saves = new Map<string, { readonly name: string; readonly xml: string; readonly paused: boolean }>();
  #nextId = 1;
  /** By which means guests obey when they are asked to shut down or reboot. */
  obeys: ReadonlySet<'agent' | 'acpi'> = new Set(['agent', 'acpi'] as const);

  /** The host as a value; equal values mean that nothing was left behind or lost. */
  describe(): FakeState {
    return {
      domains: this.listDomains().map(({ name, state, persistent }) => ({
        name,
        state,
        persistent,
        snapshots: this.listSnapshots(name).map((one) => ({ name: one.name, parent: one.parent, state: one.state, current: one.current })),
      })),
      networks: this.listNetworks().map(({ name, active, persistent }) => ({ name, active, persistent })),
    };
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #announce(domain: Domain, event: Extract<HypervisorEvent, { type: 'domain' }>['event'], detail = 0): void {
    for (const listener of this.#listeners) listener({ type: 'domain', name: domain.name, uuid: domain.uuid, event, detail });
  }

  #tell(event: HypervisorEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  #announceNetwork(network: Network, event: Extract<HypervisorEvent, { type: 'network' }>['event']): void {
    for (const listener of this.#listeners) listener({ type: 'network', name: network.name, uuid: network.uuid, event });
  }

  #domain(name: string): Domain {
    const domain = this.#domains.get(name);
    if (domain === undefined) throw new EngineError('vm.missing', `libvirt knows no VM ${name}.`);
    return domain;
  }

  #network(name: string): Network {
    const network = this.#networks.get(name);
    if (network === undefined) throw libvirtError(`libvirt knows no network ${name}.`, LIBVIRT_ERROR.noNetwork);
    return network;
  }

  #snapshot(domain: Domain, name: string): Snapshot {
    const snapshot = domain.snapshots.get(name);
    if (snapshot === undefined) throw new EngineError('snapshot.missing', `VM ${domain.name} has no snapshot ${name}.`);
    return snapshot;
  }

  #active(name: string, doing: string): Domain {
    const domain = this.#domain(name);
    if (!isActive(domain)) throw invalid(`${doing} VM ${name} failed: domain is not running`);
    return domain;
  }

  listDomains(): readonly DomainStatus[] {
    return [...this.#domains.keys()].sort().map((name) => this.domain(name));
  }

  findDomain(name: string): DomainStatus | undefined {
    return this.#domains.has(name) ? this.domain(name) : undefined;
  }

  /** Like `findDomain`; an unknown one is `vm.missing`. */
  domain(wanted: string): DomainStatus {
    const { name, uuid, id, state, reason, persistent } = this.#domain(wanted);
    return { name, uuid, id, state, reason, persistent };
  }

  /** Rejects operations on an inactive domain, as QEMU's driver does. */
  requireActive(name: string, doing: string): void {
    this.#active(name, doing);
  }

  domainXml(name: string, inactive: boolean): string {
    const domain = this.#domain(name);
    return inactive ? domain.xml : (domain.activeXml ?? domain.xml);
  }

  defineDomain(xml: string): DomainStatus {
    const { element, name } = parse(xml, 'domain', 'Defining a VM failed');
    const known = this.#domains.get(name);
    const uuid = textXml(element, 'uuid') ?? known?.uuid ?? randomUUID();
    if (known !== undefined && known.uuid !== uuid) {
      throw libvirtError(`Defining a VM failed: domain '${name}' already exists with uuid ${known.uuid}`, OPERATION_FAILED);
    }
    const twin = [...this.#domains.values()].find((domain) => domain.uuid === uuid && domain.name !== name);
    if (twin !== undefined)
      throw libvirtError(`Defining a VM failed: domain '${twin.name}' is already defined with uuid ${uuid}`, OPERATION_FAILED);
    const text = withUuid(xml, element, uuid);
    if (known === undefined) {
      this.#domains.set(name, {
        name,
        uuid,
        id: -1,
        state: 'shut off',
        reason: 0,
        persistent: true,
        xml: text,
        activeXml: undefined,
        snapshots: new Map(),
        current: undefined,
        saved: false,
        frozen: false,
        blockJobs: new Map(),
        memory: '',
        counters: { cpuTimeNs: 0 },
      });
    } else {
      known.xml = text;
      known.persistent = true;
    }
    this.#announce(this.#domain(name), 'defined', known === undefined ? 0 : 1);
    return this.domain(name);
  }

  startDomain(name: string, paused: boolean): void {
    const domain = this.#domain(name);
    if (isActive(domain)) throw invalid(`Starting VM ${name} failed: domain is already running`);
    this.#requireNetworks(domain.xml);
    this.#powerOn(domain, paused);
  }

  #requireNetworks(domainXml: string): void {
    const domain = readXml(domainXml);
    const devices = findXml(domain, 'devices');
    for (const nic of devices === undefined ? [] : childrenXml(devices, 'interface')) {
      const network = nic.attributes.get('type') === 'network' ? findXml(nic, 'source')?.attributes.get('network') : undefined;
      if (network !== undefined && !this.#network(network).active)
        throw invalid(`Starting VM ${textXml(domain, 'name') ?? ''} failed: network '${network}' is not active`);
    }
  }

  #powerOn(domain: Domain, paused: boolean): void {
    domain.saved = false;
    domain.id = this.#nextId++;
    domain.memory = '';
    domain.activeXml = domain.xml;
    domain.state = paused ? 'paused' : 'running';
    domain.reason = 1;
    this.#announce(domain, 'started');
    if (paused) this.#announce(domain, 'suspended');
  }

  #powerOff(domain: Domain, detail: number): void {
    domain.id = -1;
    domain.activeXml = undefined;
    domain.frozen = false;
    domain.blockJobs.clear();
    domain.state = 'shut off';
    // virDomainShutoffReason has one value ("unknown") before the first of virDomainEventStoppedDetailType.
    domain.reason = detail + 1;
    this.#announce(domain, 'stopped', detail);
    if (!domain.persistent) this.#domains.delete(domain.name);
  }

  destroyDomain(name: string): void {
    const domain = this.#domains.get(name);
    if (domain !== undefined && isActive(domain)) this.#powerOff(domain, 1);
  }

  shutdownDomain(name: string, by: 'agent' | 'acpi' = 'acpi'): void {
    const domain = this.#active(name, 'Shutting down');
    if (domain.state !== 'running') throw invalid(`Shutting down VM ${name} failed: domain is paused`);
    if (!this.obeys.has(by)) return;
    this.#announce(domain, 'shutdown');
    this.#powerOff(domain, 0);
  }

  suspendDomain(name: string): void {
    const domain = this.#active(name, 'Suspending');
    if (domain.state === 'paused') return;
    domain.state = 'paused';
    domain.reason = 1;
    this.#announce(domain, 'suspended');
  }

  resumeDomain(name: string): void {
    const domain = this.#active(name, 'Resuming');
    if (domain.state === 'running') return;
    domain.state = 'running';
    domain.reason = 5;
    this.#announce(domain, 'resumed');
  }

  /** The host ends, and everything on it. */
  powerOff(): void {
    for (const { name, id } of this.listDomains()) if (id !== -1) this.destroyDomain(name);
  }

  rebootDomain(name: string, by: 'agent' | 'acpi' = 'acpi'): void {
    const domain = this.#active(name, 'Rebooting');
    if (this.obeys.has(by)) this.#announce(domain, 'rebooted');
  }

  resetDomain(name: string): void {
    this.#announce(this.#active(name, 'Resetting'), 'rebooted');
  }

  /** Simulates a kernel crash in the guest, to test how the application reacts. */
  crashDomain(name: string): void {
    const domain = this.#active(name, 'Crashing');
    this.#announce(domain, 'crashed');
    this.#powerOff(domain, 2);
  }

  undefineDomain(name: string): void {
    const domain = this.#domains.get(name);
    if (domain === undefined) return;
    domain.persistent = false;
    domain.saved = false;
    domain.snapshots.clear();
    domain.current = undefined;
    this.#announce(domain, 'undefined');
    if (!isActive(domain)) this.#domains.delete(name);
  }

  renameDomain(name: string, newName: string): void {
    const domain = this.#domain(name);
    if (isActive(domain)) throw invalid(`Renaming VM ${name} failed: cannot rename active domain`);
    if (this.#domains.has(newName)) throw libvirtError(`Renaming VM ${name} failed: domain with name '${newName}' already exists`, 9);
    const xml = domain.xml.replace(/<name>[^<]*<\/name>/, `<name>${escapeXml(newName)}</name>`);
    this.#announce(domain, 'undefined', 1);
    this.#domains.delete(name);
    this.#domains.set(newName, { ...domain, name: newName, xml });
    this.#announce(this.#domain(newName), 'defined', 2);
  }

  domainInfo(name: string): DomainInfo {
    const domain = this.#domain(name);
    const { current, maximum, vcpus } = memoryOf(domain.activeXml ?? domain.xml);
    return { state: domain.state, memoryKiB: current, maximumMemoryKiB: maximum, vcpus, cpuTimeNs: domain.counters.cpuTimeNs };
  }

  statistics(): readonly DomainStatistics[] {
    return this.listDomains()
      .filter((status) => status.id !== -1)
      .map(({ name, uuid, state }) => {
        const { xml, activeXml, counters } = this.#domain(name);
        const { current, maximum, vcpus } = memoryOf(activeXml ?? xml);
        const zero = { readBytes: 0, readRequests: 0, writtenBytes: 0, writeRequests: 0, capacity: 0, allocation: 0 };
        return {
          name,
          uuid,
          state,
          vcpus,
          memoryKiB: { current, maximum, available: undefined, usable: undefined, unused: undefined, resident: undefined },
          disks: disksOf(activeXml ?? xml).map((dev) => ({ dev, ...zero })),
          nics: nicsOf(activeXml ?? xml).map((_, index) => ({
            dev: `vnet${index}`,
            receivedBytes: 0,
            receivedPackets: 0,
            sentBytes: 0,
            sentPackets: 0,
          })),
          ...counters,
        };
      });
  }

  /** Sets what `domainInfo` and `domainStatistics` report as used CPU time. */
  setCpuTime(name: string, cpuTimeNs: number): void {
    this.#domain(name).counters = { cpuTimeNs };
  }

  /** Addresses from the leases of the domain's networks; the agent of a fake guest knows the same. */
  interfaceAddresses(name: string, source: 'lease' | 'agent' | 'arp'): readonly GuestInterface[] {
    const domain = this.#active(name, 'Asking for the addresses of');
    if (source === 'arp') return [];
    const leases = [...this.#networks.values()].flatMap((network) => network.leases);
    return nicsOf(domain.activeXml ?? domain.xml).flatMap(({ mac }, index) => {
      const found = leases.filter((lease) => lease.mac === mac);
      const nic = source === 'agent' ? `eth${index}` : `vnet${index}`;
      return found.length === 0 ? [] : [{ name: nic, mac, addresses: found.map(({ ip }) => ({ ip, prefix: 24 })) }];
    });
  }

  freeze(name: string, frozen: boolean): number {
    const domain = this.#active(name, 'Freezing the file systems of');
    const changed = domain.frozen !== frozen;
    domain.frozen = frozen;
    return changed ? 1 : 0;
  }

  changeDevice(name: string, change: DeviceChange, xml: string, scope: ChangeScope = {}): void {
    this.#change(name, scope, (domainXml) => changeDeviceXml(domainXml, change, xml));
  }

  setLink(name: string, mac: string, link: 'up' | 'down', scope: ChangeScope = {}): void {
    this.#change(name, scope, (domainXml) => changeDeviceXml(domainXml, 'update', nicWithLink(domainXml, mac, link)));
  }

  setMemory(name: string, memoryKiB: number, scope: ChangeScope = {}): void {
    this.#change(name, scope, (domainXml) => withMemory(domainXml, memoryKiB));
  }

  #change(name: string, scope: ChangeScope, edit: (xml: string) => string): void {
    const domain = this.#domain(name);
    const neither = scope.live !== true && scope.config !== true;
    const live = scope.live === true || (neither && isActive(domain));
    if (live && domain.activeXml === undefined) throw invalid(`Changing VM ${name} failed: domain is not running`);
    // Both or neither: an edit may be refused.
    const active = live && domain.activeXml !== undefined ? edit(domain.activeXml) : domain.activeXml;
    const config = scope.config === true || (neither && !live) ? edit(domain.xml) : domain.xml;
    domain.activeXml = active;
    domain.xml = config;
  }

  /** What the guest remembers; nothing when it has just been started. */
  memoryOf(name: string): string {
    return this.#domain(name).memory;
  }

  /** Lets a running guest remember something. */
  remember(name: string, memory: string): void {
    this.#active(name, 'Giving a memory to').memory = memory;
  }

  /** From now on the VM writes to these files. */
  addLayers(name: string, layers: readonly { readonly disk: string; readonly path: string }[]): void {
    const domain = this.#domain(name);
    for (const { disk } of layers) {
      this.requireDisk(name, disk);
      if (domain.blockJobs.has(disk)) throw libvirtError(`Adding layers to VM ${name} failed: disk '${disk}' has an active block job`, 67);
    }
    const files = new Map(layers.map(({ disk, path }) => [disk, path]));
    this.#change(name, { live: true, config: true }, (domainXml) => withLayers(domainXml, files));
  }

  requireDisk(name: string, disk: string): void {
    const domain = this.#active(name, `Working on disk ${disk} of`);
    if (!disksOf(domain.activeXml ?? domain.xml).includes(disk))
      throw libvirtError(`Working on disk ${disk} of VM ${name} failed: disk not found`, INVALID_ARGUMENT);
  }

  /** Rejects a second job on a disk. */
  requireNoJob(name: string, disk: string): void {
    this.requireDisk(name, disk);
    if (this.#domain(name).blockJobs.has(disk))
      throw libvirtError(`Working on disk ${disk} of VM ${name} failed: it already is in a job`, 70);
  }

  /** Jobs take no time: a copy or an active commit is ready at once, any other completed. */
  startBlockJob(name: string, disk: string, kind: BlockJob['kind']): void {
    this.requireNoJob(name, disk);
    const domain = this.#domain(name);
    const stays = kind === 'copy' || kind === 'active commit';
    if (stays) domain.blockJobs.set(disk, { kind, done: 1, total: 1 });
    this.#tell({ type: 'block job', name, uuid: domain.uuid, disk, kind, status: stays ? 'ready' : 'completed' });
  }

  blockJob(name: string, disk: string): BlockJob | undefined {
    this.requireDisk(name, disk);
    return this.#domain(name).blockJobs.get(disk);
  }

  endBlockJob(name: string, disk: string, pivot: boolean): void {
    this.requireDisk(name, disk);
    const domain = this.#domain(name);
    const job = domain.blockJobs.get(disk);
    if (job === undefined) throw invalid(`Ending the work on disk ${disk} of VM ${name} failed: no job`);
    domain.blockJobs.delete(disk);
    this.#tell({ type: 'block job', name, uuid: domain.uuid, disk, kind: job.kind, status: pivot ? 'completed' : 'cancelled' });
  }

  managedSave(name: string): void {
    const domain = this.#active(name, 'Saving');
    this.#powerOff(domain, STOPPED_SAVED);
    domain.saved = true;
  }

  hasManagedSave(name: string): boolean {
    return this.#domain(name).saved;
  }

  removeManagedSave(name: string): void {
    this.#domain(name).saved = false;
  }

  saveDomain(name: string, path: string): void {
    const domain = this.#active(name, 'Saving');
    this.#saves.set(path, { name, xml: domain.activeXml ?? domain.xml, paused: domain.state === 'paused' });
    this.#powerOff(domain, STOPPED_SAVED);
  }

  hasSave(path: string): boolean {
    return this.#saves.has(path);
  }

  restoreDomain(path: string, state: 'running' | 'paused' | undefined): void {
    const save = this.#saves.get(path);
    if (save === undefined) throw libvirtError(`Restoring a VM from ${path} failed: no such file`, OPERATION_FAILED);
    const domain = this.#domain(save.name);
    if (isActive(domain)) throw invalid(`Restoring a VM from ${path} failed: domain is already active`);
    this.#powerOn(domain, state === undefined ? save.paused : state === 'paused');
    domain.activeXml = save.xml;
  }

  /** Lets a domain, which needs no definition, go on with the memory of one that had the same devices. */
  restoreMemory(xml: string, memory: string, paused: boolean): void {
    const { element, name } = parse(xml, 'domain', 'Restoring a VM failed');
    const doing = `Restoring VM ${name} failed`;
    const uuid = textXml(element, 'uuid') ?? randomUUID();
    this.#requireNetworks(xml);
    const known = this.#domains.get(name);
    if (known === undefined) {
      this.defineDomain(xml);
      this.#domain(name).persistent = false;
    } else if (isActive(known)) throw invalid(`${doing}: domain is already active`);
    else if (known.uuid !== uuid) throw libvirtError(`${doing}: domain '${name}' already exists with uuid ${known.uuid}`, OPERATION_FAILED);
    const domain = this.#domain(name);
    this.#powerOn(domain, paused);
    domain.activeXml = xml;
    domain.memory = memory;
  }

  listNetworks(): readonly NetworkStatus[] {
    return [...this.#networks.keys()].sort().map((name) => this.network(name));
  }

  findNetwork(name: string): NetworkStatus | undefined {
    return this.#networks.has(name) ? this.network(name) : undefined;
  }

  network(wanted: string): NetworkStatus {
    const { name, uuid, active, persistent } = this.#network(wanted);
    return { name, uuid, active, persistent };
  }

  networkXml(name: string): string {
    return this.#network(name).xml;
  }

  defineNetwork(xml: string): NetworkStatus {
    const { element, name } = parse(xml, 'network', 'Defining a network failed');
    const known = this.#networks.get(name);
    const uuid = textXml(element, 'uuid') ?? known?.uuid ?? randomUUID();
    if (known !== undefined && known.uuid !== uuid) {
      throw libvirtError(`Defining a network failed: network '${name}' is already defined with uuid ${known.uuid}`, OPERATION_FAILED);
    }
    const text = withUuid(xml, element, uuid);
    if (known === undefined) this.#networks.set(name, { name, uuid, active: false, persistent: true, xml: text, leases: [] });
    else {
      known.xml = text;
      known.persistent = true;
    }
    this.#announceNetwork(this.#network(name), 'defined');
    return this.network(name);
  }

  startNetwork(name: string): void {
    const network = this.#network(name);
    if (network.active) throw invalid(`Starting network ${name} failed: network is already active`);
    network.active = true;
    this.#announceNetwork(network, 'started');
  }

  destroyNetwork(name: string): void {
    const network = this.#networks.get(name);
    if (network === undefined || !network.active) return;
    network.active = false;
    network.leases = [];
    this.#announceNetwork(network, 'stopped');
    if (!network.persistent) this.#networks.delete(name);
  }

  undefineNetwork(name: string): void {
    const network = this.#networks.get(name);
    if (network === undefined) return;
    network.persistent = false;
    this.#announceNetwork(network, 'undefined');
    if (!network.active) this.#networks.delete(name);
  }

  updateNetwork(name: string, change: NetworkChange): void {
    const network = this.#network(name);
    if (!network.active && !network.persistent) throw invalid(`Changing network ${name} failed: network is not active`);
    network.xml = changeNetworkXml(network.xml, change);
  }

  networkLeases(name: string): readonly DhcpLease[] {
    return this.#network(name).leases;
  }

  /** Sets the leases that the network's DHCP server reports. */
  setLeases(name: string, leases: readonly DhcpLease[]): void {
    this.#network(name).leases = leases;
  }

  listSnapshots(domainName: string): readonly DomainSnapshot[] {
    const domain = this.#domain(domainName);
    return sortSnapshots(
      [...domain.snapshots.values()].map(({ name, parent, createdAt, state }) => ({
        name,
        parent,
        createdAt,
        state,
        current: name === domain.current,
      })),
    );
  }

  snapshotXml(domainName: string, name: string): string {
    const domain = this.#domain(domainName);
    const snapshot = this.#snapshot(domain, name);
    const parent = snapshot.parent === undefined ? '' : `  <parent>\n    <name>${escapeXml(snapshot.parent)}</name>\n  </parent>\n`;
    return (
      `<domainsnapshot>\n  <name>${escapeXml(name)}</name>\n  <state>${snapshot.state}</state>\n${parent}` +
      `  <creationTime>${Math.floor(snapshot.createdAt / 1000)}</creationTime>\n${snapshot.domainXml ?? ''}\n</domainsnapshot>\n`
    );
  }

  createSnapshot(domainName: string, xml: string, how: { readonly redefine: boolean; readonly current: boolean }): void {
    const domain = this.#domain(domainName);
    const element = readXml(xml, { what: 'The description of a snapshot', code: 'input.invalid' });
    const now = Date.now();
    const name = textXml(element, 'name') ?? String(Math.floor(now / 1000));
    if (how.redefine) this.#redefine(domain, element, name, how.current);
    else {
      if (domain.snapshots.has(name)) throw new EngineError('snapshot.exists', `VM ${domainName} already has a snapshot ${name}.`);
      const state = !isActive(domain) ? 'shutoff' : domain.state === 'paused' ? 'paused' : 'running';
      domain.snapshots.set(name, {
        name,
        parent: domain.current,
        createdAt: Math.floor(now / 1000) * 1000,
        state,
        domainXml: domain.activeXml ?? domain.xml,
      });
      domain.current = name;
    }
  }

  #redefine(domain: Domain, element: XmlElement, name: string, current: boolean): void {
    const doing = `Taking snapshot ${name} of VM ${domain.name} failed`;
    const parent = textXml(element, 'parent', 'name');
    const created = textXml(element, 'creationTime');
    const state = textXml(element, 'state');
    const uuid = textXml(element, 'domain', 'uuid');
    if (created === undefined || state === undefined) throw libvirtError(`${doing}: missing creationTime or state`, XML_ERROR);
    if (parent !== undefined && !domain.snapshots.has(parent)) {
      throw libvirtError(`${doing}: parent ${parent} for snapshot ${name} not found`, INVALID_ARGUMENT);
    }
    if (uuid !== undefined && uuid !== domain.uuid)
      throw libvirtError(`${doing}: definition for snapshot ${name} must use uuid ${domain.uuid}`, INVALID_ARGUMENT);
    const kept: DomainSnapshot['state'] = state === 'running' || state === 'paused' || state === 'disk-snapshot' ? state : 'shutoff';
    domain.snapshots.set(name, {
      name,
      parent,
      createdAt: Number(created) * 1000,
      state: kept,
      domainXml: uuid === undefined ? undefined : domain.xml,
    });
    if (current) domain.current = name;
  }

  revertSnapshot(domainName: string, name: string, wanted: 'running' | 'paused' | undefined): void {
    const domain = this.#domain(domainName);
    const snapshot = this.#snapshot(domain, name);
    if (snapshot.state === 'disk-snapshot') {
      throw libvirtError(`Reverting VM ${domainName} to snapshot ${name} failed: revert to external snapshot not supported yet`, 67);
    }
    if (isActive(domain)) this.#powerOff(domain, 6);
    if (snapshot.domainXml !== undefined) domain.xml = snapshot.domainXml;
    const state = wanted ?? (snapshot.state === 'shutoff' ? undefined : snapshot.state);
    if (state !== undefined) this.#powerOn(domain, state === 'paused');
    domain.current = name;
  }

  deleteSnapshot(domainName: string, name: string): void {
    const domain = this.#domain(domainName);
    const gone = this.#snapshot(domain, name);
    for (const snapshot of domain.snapshots.values()) if (snapshot.parent === name) snapshot.parent = gone.parent;
    domain.snapshots.delete(name);
    if (domain.current === name) domain.current = gone.parent;
  }
}
