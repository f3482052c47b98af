import type { Duplex } from 'node:stream';

/** libvirt's domain states (virDomainState), in Lago's words. */
export type DomainRunState = 'no state' | 'running' | 'blocked' | 'paused' | 'being shut down' | 'shut off' | 'crashed' | 'suspended';

export interface DomainStatus {
  readonly name: string;
  /** With dashes, as libvirt prints it. */
  readonly uuid: string;
  /** libvirt's id, -1 when it is not active. */
  readonly id: number;
  readonly state: DomainRunState;
  /** virDomain*Reason number of that state. */
  readonly reason: number;
  readonly persistent: boolean;
}

export interface NetworkStatus {
  readonly name: string;
  readonly uuid: string;
  readonly active: boolean;
  readonly persistent: boolean;
}

export interface DomainSnapshot {
  readonly name: string;
  readonly parent: string | undefined;
  /** ms since the epoch. */
  readonly createdAt: number;
  /** `running`/`paused`: includes memory; `shutoff`: disks only; `disk-snapshot`: external, disks only. */
  readonly state: 'running' | 'paused' | 'shutoff' | 'disk-snapshot';
  readonly current: boolean;
}

export interface DhcpLease {
  readonly mac: string;
  readonly ip: string;
  readonly hostname: string | undefined;
  /** ms since the epoch. */
  readonly expiresAt: number;
}

export interface CallOptions {
  /**
   * Rejects the promise at once with `cancelled`. A call that changes something can be cancelled only before it is sent; after that it is
   * waited for, so that no undo starts while the daemon is still working.
   */
  readonly signal?: AbortSignal | undefined;
  /** Default 60 s; slow calls (start, snapshot, revert) 10 min; pause and resume 40 s. */
  readonly timeoutMs?: number;
}

/** How a guest is asked to shut down or reboot; default: libvirt's choice. */
export interface AskGuest {
  readonly by?: 'agent' | 'acpi';
}

export type HypervisorEvent =
  | {
      readonly type: 'domain';
      readonly name: string;
      readonly uuid: string;
      readonly event:
        | 'defined'
        | 'undefined'
        | 'started'
        | 'suspended'
        | 'resumed'
        | 'stopped'
        | 'shutdown'
        | 'pmsuspended'
        | 'crashed'
        | 'rebooted';
      readonly detail: number;
    }
  | {
      readonly type: 'network';
      readonly name: string;
      readonly uuid: string;
      readonly event: 'defined' | 'undefined' | 'started' | 'stopped';
    }
  /** The connection is gone; every pending call was rejected with `hypervisor.disconnected`. No more events follow. */
  | { readonly type: 'closed'; readonly reason: string };

/**
 * libvirt as the engine sees it: objects by name, plain values in and out. Implemented over libvirt's RPC protocol (`libvirt.ts`) and in
 * memory with fault injection (`hypervisor.fake.ts`); one test suite runs on both. Every method rejects with `EngineError`:
 * `hypervisor.failed` (details: procedure, libvirt code and domain), `vm.missing` for an unknown domain, `snapshot.missing`,
 * `hypervisor.disconnected`, `cancelled`.
 */
export interface Hypervisor extends AsyncDisposable {
  readonly uri: string;
  /** libvirt's version as "9.0.0", and QEMU's (empty for other drivers). */
  version(options?: CallOptions): Promise<{ readonly libvirt: string; readonly hypervisor: string }>;
  capabilities(options?: CallOptions): Promise<string>;
  domainCapabilities(
    query: { readonly emulator?: string; readonly arch?: string; readonly machine?: string; readonly virtType?: string },
    options?: CallOptions,
  ): Promise<string>;

  listDomains(options?: CallOptions): Promise<readonly DomainStatus[]>;
  /** undefined when libvirt does not know the domain. */
  findDomain(name: string, options?: CallOptions): Promise<DomainStatus | undefined>;
  domainXml(name: string, query?: { readonly inactive?: boolean }, options?: CallOptions): Promise<string>;
  /** Defines or redefines a persistent domain. */
  defineDomain(xml: string, options?: CallOptions): Promise<DomainStatus>;
  startDomain(name: string, how?: { readonly paused?: boolean }, options?: CallOptions): Promise<void>;
  /** Hard power-off. Not an error when the domain is already off or gone. */
  destroyDomain(name: string, options?: CallOptions): Promise<void>;
  /** Asks the guest to shut down; resolves when it has been asked, not when it is off. By its agent, only once libvirt sees it obey. */
  shutdownDomain(name: string, how?: AskGuest, options?: CallOptions): Promise<void>;
  /** Asks the guest to reboot, like `shutdownDomain`. */
  rebootDomain(name: string, how?: AskGuest, options?: CallOptions): Promise<void>;
  /** Hard reset. */
  resetDomain(name: string, options?: CallOptions): Promise<void>;
  suspendDomain(name: string, options?: CallOptions): Promise<void>;
  resumeDomain(name: string, options?: CallOptions): Promise<void>;
  /** Removes the definition, saved state and snapshot metadata. Not an error when the domain is gone. */
  undefineDomain(name: string, options?: CallOptions): Promise<void>;
  /** The first screen as PNG or PPM. */
  screenshot(name: string, options?: CallOptions): Promise<{ readonly mime: string; readonly bytes: Uint8Array }>;
  /** Sends a JSON command to the guest agent and returns its JSON reply. */
  agentCommand(name: string, command: string, options?: CallOptions): Promise<string>;
  /** The serial console as a byte stream on its own connection. `force` disconnects any other client. */
  openConsole(name: string, how?: { readonly force?: boolean }, options?: CallOptions): Promise<Duplex>;

  listNetworks(options?: CallOptions): Promise<readonly NetworkStatus[]>;
  findNetwork(name: string, options?: CallOptions): Promise<NetworkStatus | undefined>;
  networkXml(name: string, options?: CallOptions): Promise<string>;
  defineNetwork(xml: string, options?: CallOptions): Promise<NetworkStatus>;
  startNetwork(name: string, options?: CallOptions): Promise<void>;
  /** Stops the network. Not an error when it is already down or gone. */
  destroyNetwork(name: string, options?: CallOptions): Promise<void>;
  undefineNetwork(name: string, options?: CallOptions): Promise<void>;
  networkLeases(name: string, options?: CallOptions): Promise<readonly DhcpLease[]>;

  listSnapshots(domain: string, options?: CallOptions): Promise<readonly DomainSnapshot[]>;
  snapshotXml(domain: string, name: string, options?: CallOptions): Promise<string>;
  /** Internal snapshot (disks, and memory if the domain is active). `redefine` only tells libvirt about an existing one. */
  createSnapshot(
    domain: string,
    xml: string,
    how?: { readonly redefine?: boolean; readonly current?: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /** Without `state` the domain ends up in the state the snapshot was taken in. */
  revertSnapshot(domain: string, name: string, how?: { readonly state?: 'running' | 'paused' }, options?: CallOptions): Promise<void>;
  deleteSnapshot(domain: string, name: string, how?: { readonly metadataOnly?: boolean }, options?: CallOptions): Promise<void>;

  /** Calls the listener in order, until unsubscribed or after `closed`. */
  onEvent(listener: (event: HypervisorEvent) => void): () => void;
  close(): Promise<void>;
}

/** Opens a connection: `qemu:///system`, `qemu:///session`, `test:///default`, each with `?socket=/path`. */
export type ConnectHypervisor = (uri: string, options?: CallOptions) => Promise<Hypervisor>;
