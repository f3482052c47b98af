import { type Duplex, finished } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import type {
  AskGuest,
  CallOptions,
  ConnectHypervisor,
  DhcpLease,
  DomainSnapshot,
  DomainStatus,
  Hypervisor,
  HypervisorEvent,
  NetworkStatus,
} from './hypervisor.ts';
import type { RpcConnection } from './rpc/connection.ts';
import { dialLibvirt } from './rpc/dial.ts';
import { type DomainRef, LIBVIRT_ERROR, type NetworkRef, notices, type Procedure, procedures, type SnapshotRef } from './rpc/protocol.ts';
import { type LibvirtTarget, parseLibvirtUri } from './rpc/uri.ts';
import { domainEventOf, networkEventOf, runStateOf, snapshotOf, sortSnapshots, versionText } from './rpc/values.ts';
import { readXml, textXml } from './xml/read-xml.ts';

/** A stopped daemon is detected after 4 to 6 s. */
const KEEPALIVE = { everyMs: 1000, missed: 4 };

const LIFECYCLE_EVENT = 0;
const REBOOT_EVENT = 1;
const LIST_PERSISTENT_DOMAINS = 4;
const LIST_PERSISTENT_NETWORKS = 4;
const LIST_ACTIVE_NETWORKS = 2;
const XML_INACTIVE = 2;
const START_PAUSED = 1;
const UNDEFINE_MANAGED_SAVE = 1;
const UNDEFINE_SNAPSHOTS = 2;
const UNDEFINE_NVRAM = 4;
const UNDEFINE_CHECKPOINTS = 16;
const CONSOLE_FORCE = 1;
const SNAPSHOT_REDEFINE = 1;
const SNAPSHOT_CURRENT = 2;
const REVERT_RUNNING = 1;
const REVERT_PAUSED = 2;
const REVERT_FORCE = 4;
const DELETE_METADATA_ONLY = 2;
/** virDomainShutdownFlagValues and virDomainRebootFlagValues have the same values for these. */
const ASK_BY = { acpi: 1, agent: 2 } as const;

/**
 * Calls that change something are not abandoned: otherwise the caller would undo, or release the lock, while the daemon is still working.
 * The signal stops them only before they are sent; after that they are waited for, up to their time limit.
 */
const CHANGING: ReadonlySet<unknown> = new Set([
  procedures.domainDefine,
  procedures.domainCreate,
  procedures.domainDestroy,
  procedures.domainSuspend,
  procedures.domainResume,
  procedures.domainUndefine,
  procedures.networkDefine,
  procedures.networkCreate,
  procedures.networkDestroy,
  procedures.networkUndefine,
  procedures.snapshotCreate,
  procedures.snapshotRevert,
  procedures.snapshotDelete,
]);

/**
 * QEMU responds within milliseconds; after this long it is hung, and other VMs are paused meanwhile. Longer than the 30 s after which
 * libvirt reports that other work on the domain is still going on.
 */
const SUSPEND_TIMEOUT_MS = 40_000;
const AGENT_TIMEOUT_MS = 60_000;
const SCREENSHOT_MAX = 64 * 1024 * 1024;

function libvirtCode(error: unknown): number | undefined {
  if (!(error instanceof EngineError) || error.code !== 'hypervisor.failed') return undefined;
  const code = error.details['libvirtCode'];
  return typeof code === 'number' ? code : undefined;
}

function domainMissing(name: string, cause?: unknown): EngineError {
  return new EngineError('vm.missing', `libvirt knows no VM ${name}.`, { cause });
}

function networkMissing(name: string): EngineError {
  return new EngineError('hypervisor.failed', `libvirt knows no network ${name}.`, {
    details: { procedure: 'networkLookupByName', libvirtCode: LIBVIRT_ERROR.noNetwork },
  });
}

/**
 * libvirt over its own RPC protocol, on two connections. Slow calls queue on one of them (four at a time); everything else and the events
 * use the other, so that a start does not delay a state query. The keepalive monitors the latter; if either connection is lost, both are
 * closed.
 */
class LibvirtHypervisor implements Hypervisor {
  readonly uri: string;
  readonly #target: LibvirtTarget;
  readonly #fast: RpcConnection;
  readonly #slow: RpcConnection;
  readonly #streams = new Set<RpcConnection>();
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  #closed = false;

  constructor(target: LibvirtTarget, fast: RpcConnection, slow: RpcConnection) {
    this.uri = target.uri;
    this.#target = target;
    this.#fast = fast;
    this.#slow = slow;
    fast.onNotice(notices.domainLifecycle, ({ domain, event, detail }) => {
      const known = domainEventOf(event);
      if (known !== undefined) this.#emit({ type: 'domain', name: domain.name, uuid: domain.uuid, event: known, detail });
    });
    fast.onNotice(notices.domainReboot, ({ domain }) => {
      this.#emit({ type: 'domain', name: domain.name, uuid: domain.uuid, event: 'rebooted', detail: 0 });
    });
    fast.onNotice(notices.networkLifecycle, ({ network, event }) => {
      const known = networkEventOf(event);
      if (known !== undefined) this.#emit({ type: 'network', name: network.name, uuid: network.uuid, event: known });
    });
    fast.onNotice(notices.connectionClosed, () => this.#shut('libvirt lost its connection to the hypervisor'));
    fast.onClose((reason) => this.#shut(reason));
    slow.onClose((reason) => this.#shut(reason));
  }

  /** Subscribes to events; a daemon without networks is not an error. */
  async start(options: CallOptions): Promise<void> {
    const doing = 'Asking libvirt for events';
    for (const event of [LIFECYCLE_EVENT, REBOOT_EVENT])
      await this.#fast.call(procedures.connectDomainEventRegister, { event, domain: undefined }, doing, options);
    try {
      await this.#fast.call(procedures.connectNetworkEventRegister, { event: LIFECYCLE_EVENT, network: undefined }, doing, options);
    } catch (error) {
      if (libvirtCode(error) !== LIBVIRT_ERROR.noSupport) throw error;
    }
  }

  #emit(event: HypervisorEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's bug must not close the connection or keep the event from other listeners, and must not stay unseen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  #shut(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#fast.close(reason);
    this.#slow.close(reason);
    for (const connection of this.#streams) connection.close(reason);
    this.#emit({ type: 'closed', reason });
    this.#listeners.clear();
  }

  #call<A, R>(procedure: Procedure<A, R>, args: A, doing: string, options: CallOptions | undefined): Promise<R> {
    const connection = procedure.slow ? this.#slow : this.#fast;
    return connection.call(procedure, args, doing, { ...options, untilSent: CHANGING.has(procedure) });
  }

  /** A call about a domain: when it has gone meanwhile, the error is the same as for an unknown one. */
  async #onDomain<A, R>(
    procedure: Procedure<A, R>,
    name: string,
    args: (domain: DomainRef) => A,
    doing: string,
    options: CallOptions | undefined,
  ): Promise<R> {
    const domain = await this.#domain(name, options);
    try {
      return await this.#call(procedure, args(domain), `${doing} VM ${name}`, options);
    } catch (error) {
      throw libvirtCode(error) === LIBVIRT_ERROR.noDomain ? domainMissing(name, error) : error;
    }
  }

  async #lookUp(name: string, options: CallOptions | undefined): Promise<DomainRef | undefined> {
    try {
      return (await this.#call(procedures.domainLookupByName, { name }, `Looking for VM ${name}`, options)).domain;
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
      throw error;
    }
  }

  async #domain(name: string, options: CallOptions | undefined): Promise<DomainRef> {
    const domain = await this.#lookUp(name, options);
    if (domain === undefined) throw domainMissing(name);
    return domain;
  }

  async #lookUpNetwork(name: string, options: CallOptions | undefined): Promise<NetworkRef | undefined> {
    try {
      return (await this.#call(procedures.networkLookupByName, { name }, `Looking for network ${name}`, options)).network;
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noNetwork) return undefined;
      throw error;
    }
  }

  async #network(name: string, options: CallOptions | undefined): Promise<NetworkRef> {
    const network = await this.#lookUpNetwork(name, options);
    if (network === undefined) throw networkMissing(name);
    return network;
  }

  async #snapshot(domain: string, name: string, options: CallOptions | undefined): Promise<SnapshotRef> {
    try {
      return (
        await this.#onDomain(
          procedures.snapshotLookupByName,
          domain,
          (ref) => ({ domain: ref, name, flags: 0 }),
          `Looking for snapshot ${name} of`,
          options,
        )
      ).snapshot;
    } catch (error) {
      if (libvirtCode(error) !== LIBVIRT_ERROR.noSnapshot) throw error;
      throw new EngineError('snapshot.missing', `VM ${domain} has no snapshot ${name}.`, { cause: error });
    }
  }

  async version(options?: CallOptions): Promise<{ readonly libvirt: string; readonly hypervisor: string }> {
    const doing = "Asking for libvirt's version";
    const [libvirt, hypervisor] = await Promise.all([
      this.#call(procedures.connectGetLibVersion, undefined, doing, options),
      this.#target.driver === 'qemu' ? this.#call(procedures.connectGetVersion, undefined, doing, options) : undefined,
    ]);
    return { libvirt: versionText(libvirt.version), hypervisor: hypervisor === undefined ? '' : versionText(hypervisor.version) };
  }

  async capabilities(options?: CallOptions): Promise<string> {
    return (await this.#call(procedures.connectGetCapabilities, undefined, 'Asking what the host can do', options)).xml;
  }

  async domainCapabilities(
    query: { readonly emulator?: string; readonly arch?: string; readonly machine?: string; readonly virtType?: string },
    options?: CallOptions,
  ): Promise<string> {
    const { emulator, arch, machine, virtType } = query;
    const args = { emulator, arch, machine, virtType, flags: 0 };
    return (await this.#call(procedures.connectGetDomainCapabilities, args, 'Asking what VMs can do here', options)).xml;
  }

  async listDomains(options?: CallOptions): Promise<readonly DomainStatus[]> {
    const doing = 'Listing VMs';
    const [all, persistent] = await Promise.all([
      this.#call(procedures.connectListAllDomains, { wantResults: 1, flags: 0 }, doing, options),
      this.#call(procedures.connectListAllDomains, { wantResults: 1, flags: LIST_PERSISTENT_DOMAINS }, doing, options),
    ]);
    const persistentIds = new Set(persistent.domains.map((domain) => domain.uuid));
    const statuses = await Promise.all(
      all.domains.map(async (domain) => await this.#stateOf(domain, persistentIds.has(domain.uuid), options)),
    );
    return statuses.filter((status) => status !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** undefined when the domain has gone since it was looked up. */
  async #stateOf(domain: DomainRef, persistent: boolean, options: CallOptions | undefined): Promise<DomainStatus | undefined> {
    try {
      const { state, reason } = await this.#call(
        procedures.domainGetState,
        { domain, flags: 0 },
        `Asking for the state of VM ${domain.name}`,
        options,
      );
      return { name: domain.name, uuid: domain.uuid, id: domain.id, state: runStateOf(state), reason, persistent };
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
      throw error;
    }
  }

  async findDomain(name: string, options?: CallOptions): Promise<DomainStatus | undefined> {
    const domain = await this.#lookUp(name, options);
    return domain === undefined ? undefined : await this.#statusOf(domain, options);
  }

  async #statusOf(domain: DomainRef, options: CallOptions | undefined): Promise<DomainStatus | undefined> {
    try {
      const [status, { persistent }] = await Promise.all([
        this.#stateOf(domain, true, options),
        this.#call(procedures.domainIsPersistent, { domain }, `Asking about VM ${domain.name}`, options),
      ]);
      return status === undefined ? undefined : { ...status, persistent: persistent === 1 };
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
      throw error;
    }
  }

  async domainXml(name: string, query: { readonly inactive?: boolean } = {}, options?: CallOptions): Promise<string> {
    const flags = query.inactive === true ? XML_INACTIVE : 0;
    return (await this.#onDomain(procedures.domainGetXml, name, (domain) => ({ domain, flags }), 'Reading the description of', options))
      .xml;
  }

  async defineDomain(xml: string, options?: CallOptions): Promise<DomainStatus> {
    const { domain } = await this.#call(procedures.domainDefine, { xml, flags: 0 }, 'Defining a VM', options);
    const status = await this.#statusOf(domain, options);
    if (status === undefined) throw domainMissing(domain.name);
    return status;
  }

  async startDomain(name: string, how: { readonly paused?: boolean } = {}, options?: CallOptions): Promise<void> {
    const flags = how.paused === true ? START_PAUSED : 0;
    await this.#onDomain(procedures.domainCreate, name, (domain) => ({ domain, flags }), 'Starting', options);
  }

  async destroyDomain(name: string, options?: CallOptions): Promise<void> {
    const domain = await this.#lookUp(name, options);
    if (domain === undefined) return;
    try {
      await this.#call(procedures.domainDestroy, { domain, flags: 0 }, `Powering off VM ${name}`, options);
    } catch (error) {
      const code = libvirtCode(error);
      if (code === LIBVIRT_ERROR.noDomain) return;
      if (code === LIBVIRT_ERROR.operationInvalid && (await this.#isOff(domain, options))) return;
      throw error;
    }
  }

  async #isOff(domain: DomainRef, options: CallOptions | undefined): Promise<boolean> {
    const status = await this.#stateOf(domain, true, options);
    return status === undefined || status.state === 'shut off' || status.state === 'crashed';
  }

  async shutdownDomain(name: string, how: AskGuest = {}, options?: CallOptions): Promise<void> {
    const flags = how.by === undefined ? 0 : ASK_BY[how.by];
    await this.#onDomain(procedures.domainShutdown, name, (domain) => ({ domain, flags }), 'Shutting down', options);
  }

  async rebootDomain(name: string, how: AskGuest = {}, options?: CallOptions): Promise<void> {
    const flags = how.by === undefined ? 0 : ASK_BY[how.by];
    await this.#onDomain(procedures.domainReboot, name, (domain) => ({ domain, flags }), 'Rebooting', options);
  }

  async resetDomain(name: string, options?: CallOptions): Promise<void> {
    await this.#onDomain(procedures.domainReset, name, (domain) => ({ domain, flags: 0 }), 'Resetting', options);
  }

  async suspendDomain(name: string, options?: CallOptions): Promise<void> {
    await this.#onDomain(procedures.domainSuspend, name, (domain) => ({ domain }), 'Suspending', {
      timeoutMs: SUSPEND_TIMEOUT_MS,
      ...options,
    });
  }

  async resumeDomain(name: string, options?: CallOptions): Promise<void> {
    await this.#onDomain(procedures.domainResume, name, (domain) => ({ domain }), 'Resuming', {
      timeoutMs: SUSPEND_TIMEOUT_MS,
      ...options,
    });
  }

  async undefineDomain(name: string, options?: CallOptions): Promise<void> {
    const domain = await this.#lookUp(name, options);
    if (domain === undefined) return;
    const basic = UNDEFINE_MANAGED_SAVE | UNDEFINE_SNAPSHOTS;
    const flags = this.#target.driver === 'qemu' ? basic | UNDEFINE_CHECKPOINTS | UNDEFINE_NVRAM : basic;
    try {
      await this.#call(procedures.domainUndefine, { domain, flags }, `Removing VM ${name}`, options);
    } catch (error) {
      if (libvirtCode(error) !== LIBVIRT_ERROR.noDomain) throw error;
    }
  }

  async screenshot(name: string, options?: CallOptions): Promise<{ readonly mime: string; readonly bytes: Uint8Array }> {
    const { result, stream } = await this.#openStream(
      procedures.domainScreenshot,
      name,
      (domain) => ({ domain, screen: 0, flags: 0 }),
      'Taking a picture of',
      false,
      options,
    );
    const chunks: Buffer[] = [];
    let size = 0;
    const stop = (): void => {
      stream.destroy(new EngineError('cancelled', `Taking a picture of VM ${name} was cancelled.`));
    };
    options?.signal?.addEventListener('abort', stop, { once: true });
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > SCREENSHOT_MAX)
          throw new EngineError('hypervisor.failed', `The picture of VM ${name} is larger than ${SCREENSHOT_MAX} bytes.`);
        chunks.push(chunk);
      }
    } finally {
      options?.signal?.removeEventListener('abort', stop);
      stream.destroy();
    }
    return { mime: result.mime ?? 'image/x-portable-pixmap', bytes: Buffer.concat(chunks, size) };
  }

  async agentCommand(name: string, command: string, options?: CallOptions): Promise<string> {
    const timeout = Math.max(1, Math.ceil((options?.timeoutMs ?? AGENT_TIMEOUT_MS) / 1000));
    const args = (domain: DomainRef): { domain: DomainRef; command: string; timeout: number; flags: number } => ({
      domain,
      command,
      timeout,
      flags: 0,
    });
    return (await this.#onDomain(procedures.domainAgentCommand, name, args, 'Asking the guest agent of', options)).result ?? '';
  }

  async openConsole(name: string, how: { readonly force?: boolean } = {}, options?: CallOptions): Promise<Duplex> {
    const flags = how.force === true ? CONSOLE_FORCE : 0;
    const args = (domain: DomainRef): { domain: DomainRef; device: undefined; flags: number } => ({ domain, device: undefined, flags });
    return (await this.#openStream(procedures.domainOpenConsole, name, args, 'Opening the console of', true, options)).stream;
  }

  /** Opens a stream on its own connection, which closes with it: an unread stream would block everything else on the connection. */
  async #openStream<A, R>(
    procedure: Procedure<A, R>,
    name: string,
    args: (domain: DomainRef) => A,
    doing: string,
    hangUpEnds: boolean,
    options: CallOptions | undefined,
  ): Promise<{ readonly result: R; readonly stream: Duplex }> {
    const domain = await this.#domain(name, options);
    const connection = await dialLibvirt(this.#target, {}, options);
    this.#streams.add(connection);
    connection.onClose(() => this.#streams.delete(connection));
    if (this.#closed) connection.close();
    try {
      const opened = await connection.openStream(procedure, args(domain), `${doing} VM ${name}`, { ...options, hangUpEnds });
      finished(opened.stream, () => connection.close());
      return opened;
    } catch (error) {
      connection.close();
      throw libvirtCode(error) === LIBVIRT_ERROR.noDomain ? domainMissing(name, error) : error;
    }
  }

  async listNetworks(options?: CallOptions): Promise<readonly NetworkStatus[]> {
    const doing = 'Listing networks';
    const [all, active, persistent] = await Promise.all([
      this.#call(procedures.connectListAllNetworks, { wantResults: 1, flags: 0 }, doing, options),
      this.#call(procedures.connectListAllNetworks, { wantResults: 1, flags: LIST_ACTIVE_NETWORKS }, doing, options),
      this.#call(procedures.connectListAllNetworks, { wantResults: 1, flags: LIST_PERSISTENT_NETWORKS }, doing, options),
    ]);
    const activeIds = new Set(active.networks.map((network) => network.uuid));
    const persistentIds = new Set(persistent.networks.map((network) => network.uuid));
    return all.networks
      .map(({ name, uuid }) => ({ name, uuid, active: activeIds.has(uuid), persistent: persistentIds.has(uuid) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async findNetwork(name: string, options?: CallOptions): Promise<NetworkStatus | undefined> {
    const network = await this.#lookUpNetwork(name, options);
    return network === undefined ? undefined : await this.#networkStatus(network, options);
  }

  async #networkStatus(network: NetworkRef, options: CallOptions | undefined): Promise<NetworkStatus | undefined> {
    const doing = `Asking about network ${network.name}`;
    try {
      const [{ active }, { persistent }] = await Promise.all([
        this.#call(procedures.networkIsActive, { network }, doing, options),
        this.#call(procedures.networkIsPersistent, { network }, doing, options),
      ]);
      return { name: network.name, uuid: network.uuid, active: active === 1, persistent: persistent === 1 };
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noNetwork) return undefined;
      throw error;
    }
  }

  async networkXml(name: string, options?: CallOptions): Promise<string> {
    const network = await this.#network(name, options);
    return (await this.#call(procedures.networkGetXml, { network, flags: 0 }, `Reading the description of network ${name}`, options)).xml;
  }

  async defineNetwork(xml: string, options?: CallOptions): Promise<NetworkStatus> {
    const { network } = await this.#call(procedures.networkDefine, { xml }, 'Defining a network', options);
    const status = await this.#networkStatus(network, options);
    if (status === undefined) throw networkMissing(network.name);
    return status;
  }

  async startNetwork(name: string, options?: CallOptions): Promise<void> {
    const network = await this.#network(name, options);
    await this.#call(procedures.networkCreate, { network }, `Starting network ${name}`, options);
  }

  async destroyNetwork(name: string, options?: CallOptions): Promise<void> {
    const network = await this.#lookUpNetwork(name, options);
    // Queried first, since some drivers stop an inactive network, and announce that.
    if (network === undefined || (await this.#networkStatus(network, options))?.active !== true) return;
    try {
      await this.#call(procedures.networkDestroy, { network }, `Taking down network ${name}`, options);
    } catch (error) {
      const code = libvirtCode(error);
      if (code === LIBVIRT_ERROR.noNetwork) return;
      if (code === LIBVIRT_ERROR.operationInvalid && (await this.#networkStatus(network, options))?.active !== true) return;
      throw error;
    }
  }

  async undefineNetwork(name: string, options?: CallOptions): Promise<void> {
    const network = await this.#lookUpNetwork(name, options);
    if (network === undefined) return;
    try {
      await this.#call(procedures.networkUndefine, { network }, `Removing network ${name}`, options);
    } catch (error) {
      if (libvirtCode(error) !== LIBVIRT_ERROR.noNetwork) throw error;
    }
  }

  async networkLeases(name: string, options?: CallOptions): Promise<readonly DhcpLease[]> {
    const network = await this.#network(name, options);
    const args = { network, mac: undefined, wantResults: 1, flags: 0 };
    const { leases } = await this.#call(procedures.networkGetLeases, args, `Reading the leases of network ${name}`, options);
    return leases.map((lease) => ({ mac: lease.mac ?? '', ip: lease.ip, hostname: lease.hostname, expiresAt: lease.expiresAt * 1000 }));
  }

  async listSnapshots(domain: string, options?: CallOptions): Promise<readonly DomainSnapshot[]> {
    const args = (ref: DomainRef): { domain: DomainRef; wantResults: number; flags: number } => ({ domain: ref, wantResults: 1, flags: 0 });
    const { snapshots } = await this.#onDomain(procedures.snapshotListAll, domain, args, 'Listing snapshots of', options);
    if (snapshots.length === 0) return [];
    const [current, ...texts] = await Promise.all([
      this.#currentSnapshot(domain, options),
      ...snapshots.map(async (snapshot) => await this.#snapshotText(snapshot, options)),
    ]);
    return sortSnapshots(texts.filter((text) => text !== undefined).map((text) => snapshotOf(text, current)));
  }

  /** undefined when the snapshot has gone since it was listed. */
  async #snapshotText(snapshot: SnapshotRef, options: CallOptions | undefined): Promise<string | undefined> {
    try {
      return (
        await this.#call(procedures.snapshotGetXml, { snapshot, flags: 0 }, `Reading the description of snapshot ${snapshot.name}`, options)
      ).xml;
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noSnapshot) return undefined;
      throw error;
    }
  }

  async #currentSnapshot(domain: string, options: CallOptions | undefined): Promise<string | undefined> {
    const args = (ref: DomainRef): { domain: DomainRef; flags: number } => ({ domain: ref, flags: 0 });
    try {
      return (await this.#onDomain(procedures.snapshotCurrent, domain, args, 'Looking for the current snapshot of', options)).snapshot.name;
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noSnapshot) return undefined;
      throw error;
    }
  }

  async snapshotXml(domain: string, name: string, options?: CallOptions): Promise<string> {
    const text = await this.#snapshotText(await this.#snapshot(domain, name, options), options);
    if (text === undefined) throw new EngineError('snapshot.missing', `VM ${domain} has no snapshot ${name}.`);
    return text;
  }

  async createSnapshot(
    domain: string,
    xml: string,
    how: { readonly redefine?: boolean; readonly current?: boolean } = {},
    options?: CallOptions,
  ): Promise<void> {
    const redefine = how.redefine === true;
    const name = textXml(readXml(xml, { what: 'The description of a snapshot', code: 'input.invalid' }), 'name') ?? '';
    if (!redefine && name !== '') await this.#refuseExisting(domain, name, options);
    // libvirt accepts "current" only together with "redefine"; a new snapshot is current anyway.
    const flags = redefine ? SNAPSHOT_REDEFINE | (how.current === true ? SNAPSHOT_CURRENT : 0) : 0;
    const args = (ref: DomainRef): { domain: DomainRef; xml: string; flags: number } => ({ domain: ref, xml, flags });
    await this.#onDomain(procedures.snapshotCreate, domain, args, `Taking snapshot ${name} of`, options);
  }

  /** libvirt itself would return an internal error that cannot be distinguished from others. */
  async #refuseExisting(domain: string, name: string, options: CallOptions | undefined): Promise<void> {
    try {
      await this.#snapshot(domain, name, options);
    } catch (error) {
      if (error instanceof EngineError && error.code === 'snapshot.missing') return;
      throw error;
    }
    throw new EngineError('snapshot.exists', `VM ${domain} already has a snapshot ${name}.`, {
      hint: 'Choose another name, or delete that one first.',
    });
  }

  async revertSnapshot(
    domain: string,
    name: string,
    how: { readonly state?: 'running' | 'paused' } = {},
    options?: CallOptions,
  ): Promise<void> {
    const snapshot = await this.#snapshot(domain, name, options);
    const flags = how.state === 'running' ? REVERT_RUNNING : how.state === 'paused' ? REVERT_PAUSED : 0;
    const doing = `Reverting VM ${domain} to snapshot ${name}`;
    try {
      await this.#call(procedures.snapshotRevert, { snapshot, flags }, doing, options);
    } catch (error) {
      // "Risky" means that a new QEMU process is needed or the snapshot lacks the domain's definition; a revert accepts both.
      if (libvirtCode(error) !== LIBVIRT_ERROR.revertRisky) throw error;
      await this.#call(procedures.snapshotRevert, { snapshot, flags: flags | REVERT_FORCE }, doing, options);
    }
  }

  async deleteSnapshot(domain: string, name: string, how: { readonly metadataOnly?: boolean } = {}, options?: CallOptions): Promise<void> {
    const snapshot = await this.#snapshot(domain, name, options);
    const flags = how.metadataOnly === true ? DELETE_METADATA_ONLY : 0;
    await this.#call(procedures.snapshotDelete, { snapshot, flags }, `Deleting snapshot ${name} of VM ${domain}`, options);
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  async close(): Promise<void> {
    this.#shut('it was closed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Connects to a libvirt daemon on this machine. Rejects with `input.invalid` (unsupported URI), `host.denied` (socket or polkit; with a
 * hint), `host.unavailable` (no daemon), `hypervisor.failed` or `cancelled`. It does not reconnect: after the event `closed`, connect again
 * and read everything afresh.
 */
export const connectHypervisor: ConnectHypervisor = async (uri, options = {}) => {
  const target = parseLibvirtUri(uri);
  const fast = await dialLibvirt(target, { keepalive: KEEPALIVE }, options);
  try {
    const slow = target.privateState ? fast : await dialLibvirt(target, {}, options);
    const hypervisor = new LibvirtHypervisor(target, fast, slow);
    await hypervisor.start(options);
    return hypervisor;
  } catch (error) {
    fast.close();
    throw error;
  }
};
