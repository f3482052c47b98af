import type { Duplex } from 'node:stream';
import type { SshQuestions } from './rpc/uri.ts';

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

export interface DomainInfo {
  readonly state: DomainRunState;
  readonly memoryKiB: number;
  readonly maximumMemoryKiB: number;
  readonly vcpus: number;
  readonly cpuTimeNs: number;
}

/** What a change of a VM or network applies to. With neither or both false: its running instance if it runs, else its definition. */
export interface ChangeScope {
  /** The running instance, which loses the change when it stops. */
  readonly live?: boolean;
  /** The definition, which is used from the next start on. */
  readonly config?: boolean;
}

/** A network interface of a guest, as the DHCP server, the guest agent or the host's ARP table knows it. */
export interface GuestInterface {
  /** The guest's own name with `agent`, else that of the host's tap device. */
  readonly name: string;
  readonly mac: string | undefined;
  readonly addresses: readonly { readonly ip: string; readonly prefix: number }[];
}

/** Progress of a save, restore or dump of a domain. */
export interface DomainJob {
  readonly elapsedMs: number;
  /** Bytes; 0 while libvirt does not know. */
  readonly processed: number;
  readonly total: number;
}

export type BlockJobKind = 'unknown' | 'pull' | 'copy' | 'commit' | 'active commit' | 'backup';

export interface BlockJob {
  readonly kind: BlockJobKind;
  /** In a unit of its own; `done === total` means ready for a pivot (copy, active commit) once the event `ready` has come. */
  readonly done: number;
  readonly total: number;
}

/** Counters of an active domain since it was started. */
export interface DomainStatistics {
  readonly name: string;
  readonly uuid: string;
  readonly state: DomainRunState;
  readonly cpuTimeNs: number;
  readonly vcpus: number;
  /**
   * Told by the guest: `available`, all that it has, `usable`, what programs could still get, `unused`, what nothing is kept in. `resident`:
   * used on the host. Undefined where the guest or the driver does not report it.
   */
  readonly memoryKiB: {
    readonly current: number | undefined;
    readonly maximum: number | undefined;
    readonly available: number | undefined;
    readonly usable: number | undefined;
    readonly unused: number | undefined;
    readonly resident: number | undefined;
  };
  readonly disks: readonly {
    readonly dev: string;
    readonly readBytes: number;
    readonly readRequests: number;
    readonly writtenBytes: number;
    readonly writeRequests: number;
    /** Bytes that the guest sees, and bytes used on the host. */
    readonly capacity: number;
    readonly allocation: number;
  }[];
  /** `dev` is the tap device on the host. */
  readonly nics: readonly {
    readonly dev: string;
    readonly receivedBytes: number;
    readonly receivedPackets: number;
    readonly sentBytes: number;
    readonly sentPackets: number;
  }[];
}

/** A part of a network that can be changed while it is up. */
export type NetworkSection = 'dhcp host' | 'dhcp range' | 'dns host' | 'dns txt' | 'dns srv';

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
  /** The guest agent began or ceased to answer. */
  | { readonly type: 'agent'; readonly name: string; readonly uuid: string; readonly connected: boolean }
  | {
      readonly type: 'block job';
      readonly name: string;
      readonly uuid: string;
      readonly disk: string;
      readonly kind: BlockJobKind;
      /** `ready`: a copy or active commit is up to date and can be ended with a pivot. */
      readonly status: 'completed' | 'failed' | 'cancelled' | 'ready';
    }
  | { readonly type: 'device removed'; readonly name: string; readonly uuid: string; readonly alias: string }
  | { readonly type: 'job completed'; readonly name: string; readonly uuid: string; readonly job: DomainJob }
  /**
   * The connection is lost: every pending call was rejected with `hypervisor.disconnected`, and events from now on are missed. It is
   * opened again as soon as libvirt answers; then `connected` follows, and everything should be read afresh.
   */
  | { readonly type: 'disconnected'; readonly reason: string }
  | { readonly type: 'connected' }
  /** `close()` was called. No more events follow. */
  | { readonly type: 'closed' };

/**
 * libvirt as the engine sees it: objects by name, plain values in and out. Implemented over libvirt's RPC protocol (`libvirt.ts`) and in
 * memory with fault injection (`hypervisor.fake.ts`); one test suite runs on both. Every method rejects with `EngineError`:
 * `hypervisor.failed` (details: procedure, libvirt code and domain), `vm.missing` for an unknown domain, `snapshot.missing`,
 * `hypervisor.disconnected`, `cancelled`. After a loss of the connection a call waits for the new one, up to 3 s.
 */
export interface Hypervisor
  extends AsyncDisposable,
    HostCalls,
    DomainCalls,
    GuestCalls,
    DeviceCalls,
    DiskCalls,
    SavedStateCalls,
    NetworkCalls,
    SnapshotCalls {
  readonly uri: string;
  /** Calls the listener in order, until unsubscribed or after `closed`. */
  onEvent(listener: (event: HypervisorEvent) => void): () => void;
  /** Closes it for good; pending calls are rejected with `hypervisor.disconnected`. */
  close(): Promise<void>;
}

/** The daemon and what its host can do. */
export interface HostCalls {
  /** Resolves when it is connected: at once, or when libvirt answers again within 3 s; else `hypervisor.disconnected`. */
  whenConnected(options?: CallOptions): Promise<void>;
  /** libvirt's version as "9.0.0", and QEMU's (empty for other drivers). */
  version(options?: CallOptions): Promise<{ readonly libvirt: string; readonly hypervisor: string }>;
  capabilities(options?: CallOptions): Promise<string>;
  domainCapabilities(
    query: { readonly emulator?: string; readonly arch?: string; readonly machine?: string; readonly virtType?: string },
    options?: CallOptions,
  ): Promise<string>;
}

export interface DomainCalls {
  listDomains(options?: CallOptions): Promise<readonly DomainStatus[]>;
  /** undefined when libvirt does not know the domain. */
  findDomain(name: string, options?: CallOptions): Promise<DomainStatus | undefined>;
  /**
   * `inactive`: the definition instead of what runs. `migratable`: what is needed to go on with the domain's memory elsewhere, with
   * passwords.
   */
  domainXml(name: string, query?: { readonly inactive?: boolean; readonly migratable?: boolean }, options?: CallOptions): Promise<string>;
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
  /** Gives a domain that is off another name. */
  renameDomain(name: string, newName: string, options?: CallOptions): Promise<void>;
  domainInfo(name: string, options?: CallOptions): Promise<DomainInfo>;
  /** Counters of all active domains in one call; what a busy domain cannot tell at once is left out or 0. */
  domainStatistics(options?: CallOptions): Promise<readonly DomainStatistics[]>;
  /** Sends a JSON command to QEMU's monitor and returns its JSON reply; libvirt does not learn of its effects. */
  monitorCommand(name: string, command: string, options?: CallOptions): Promise<string>;
}

/** What goes on inside a guest. */
export interface GuestCalls {
  /** The first screen as PNG or PPM. */
  screenshot(name: string, options?: CallOptions): Promise<{ readonly mime: string; readonly bytes: Uint8Array }>;
  /** Sends a JSON command to the guest agent and returns its JSON reply. */
  agentCommand(name: string, command: string, options?: CallOptions): Promise<string>;
  /** The serial console as a byte stream on its own connection. `force` disconnects any other client. */
  openConsole(name: string, how?: { readonly force?: boolean }, options?: CallOptions): Promise<Duplex>;
  /** Presses up to 16 keys together for `holdMs` (default 50); Linux key codes. */
  sendKeys(name: string, keys: readonly number[], how?: { readonly holdMs?: number }, options?: CallOptions): Promise<void>;
  /** `lease`: from libvirt's DHCP server; `agent`: from within; `arp`: from the host's neighbours. */
  interfaceAddresses(name: string, source: 'lease' | 'agent' | 'arp', options?: CallOptions): Promise<readonly GuestInterface[]>;
  /** Flushes and freezes all file systems by the guest agent; returns how many. */
  freezeFilesystems(name: string, options?: CallOptions): Promise<number>;
  thawFilesystems(name: string, options?: CallOptions): Promise<number>;
}

export interface DeviceCalls {
  /** Adds the device that the XML describes. */
  attachDevice(name: string, xml: string, scope?: ChangeScope, options?: CallOptions): Promise<void>;
  /**
   * Removes a device, found by its MAC address or target. From a running VM it is gone when this resolves: the guest has to let go of it,
   * and when it does not in `timeoutMs` (default 20 s), that is `hypervisor.failed`.
   */
  detachDevice(name: string, xml: string, scope?: ChangeScope, options?: CallOptions): Promise<void>;
  /** Changes what can be changed of a device: a CD's medium, a NIC's network or link. The XML describes the whole device. */
  updateDevice(name: string, xml: string, scope?: ChangeScope, options?: CallOptions): Promise<void>;
  /** Plugs or unplugs the cable of the NIC with this MAC address. */
  setLink(name: string, mac: string, link: 'up' | 'down', scope?: ChangeScope, options?: CallOptions): Promise<void>;
  /** Memory for the guest, by its balloon while it runs; at most the maximum of its definition. */
  setMemory(name: string, memoryKiB: number, scope?: ChangeScope, options?: CallOptions): Promise<void>;
}

/** Disks of running domains. `disk` is the target's name (`vda`). Jobs run on after the call; their end is the event `block job`. */
export interface DiskCalls {
  /**
   * Puts a new, empty layer on each of these disks at the same moment; from then on only the layer is written. `quiesce`: the guest agent
   * flushes its file systems first. `reuse`: the layers are there already, made for these disks. libvirt keeps no record of it as a
   * snapshot.
   */
  addLayers(
    name: string,
    layers: readonly { readonly disk: string; readonly path: string }[],
    how?: { readonly quiesce?: boolean; readonly reuse?: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /** Copies the disk to the `<disk>` of the XML and keeps both equal until the job is ended, with a pivot to use the copy from then on. */
  copyDisk(
    name: string,
    disk: string,
    xml: string,
    how?: { readonly shallow?: boolean; readonly reuse?: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Writes the top layer into the one below. `into` says which: libvirt's own default is the lowest, which is a template that other VMs
   * use. Of an active layer the job gets ready and is then ended with a pivot.
   */
  commitDisk(
    name: string,
    disk: string,
    into: 'backing' | { readonly base: string; readonly top?: string; readonly relative?: boolean },
    options?: CallOptions,
  ): Promise<void>;
  /**
   * Copies what the layers below have into the disk, which then stands alone, or lies on `base`. `relative`: the name of the file below is
   * then kept without its folder, which all of them are in.
   */
  pullDisk(name: string, disk: string, how?: { readonly base?: string; readonly relative?: boolean }, options?: CallOptions): Promise<void>;
  resizeDisk(name: string, disk: string, bytes: number, options?: CallOptions): Promise<void>;
  /** undefined when no job runs on this disk. */
  blockJob(name: string, disk: string, options?: CallOptions): Promise<BlockJob | undefined>;
  /** Ends a job: without a pivot the disk stays as it was. */
  endBlockJob(name: string, disk: string, how?: { readonly pivot?: boolean }, options?: CallOptions): Promise<void>;
}

/** Memory and devices of a domain in a file, from which it goes on. The disks are not in it. */
export interface SavedStateCalls {
  /** Saves and stops the domain; its next start goes on from there. */
  managedSave(name: string, options?: CallOptions): Promise<void>;
  hasManagedSave(name: string, options?: CallOptions): Promise<boolean>;
  removeManagedSave(name: string, options?: CallOptions): Promise<void>;
  /** Saves the domain into a file and stops it. */
  saveDomain(name: string, path: string, options?: CallOptions): Promise<void>;
  /**
   * Reads the file once, from the beginning to the end: it may be a pipe. Without `state` it is restored in the state in which it was saved.
   * `xml` takes the place of the description in the file: other paths, the same devices.
   */
  restoreDomain(path: string, how?: { readonly state?: 'running' | 'paused'; readonly xml?: string }, options?: CallOptions): Promise<void>;
  /** The save, restore or dump that is under way; undefined when there is none. */
  domainJob(name: string, options?: CallOptions): Promise<DomainJob | undefined>;
  /** Stops it; its own call then fails, and the domain runs on. */
  abortJob(name: string, options?: CallOptions): Promise<void>;
}

export interface NetworkCalls {
  listNetworks(options?: CallOptions): Promise<readonly NetworkStatus[]>;
  findNetwork(name: string, options?: CallOptions): Promise<NetworkStatus | undefined>;
  networkXml(name: string, options?: CallOptions): Promise<string>;
  defineNetwork(xml: string, options?: CallOptions): Promise<NetworkStatus>;
  startNetwork(name: string, options?: CallOptions): Promise<void>;
  /** Stops the network. Not an error when it is already down or gone. */
  destroyNetwork(name: string, options?: CallOptions): Promise<void>;
  undefineNetwork(name: string, options?: CallOptions): Promise<void>;
  networkLeases(name: string, options?: CallOptions): Promise<readonly DhcpLease[]>;
  /**
   * Adds, changes or removes one element of a network: `<host mac=… ip=…/>` of section `dhcp host`. `subnet`: which of its `<ip>` elements
   * it belongs to, counted from 0; by default the first IPv4 one.
   */
  updateNetwork(
    name: string,
    change: {
      readonly command: 'add' | 'modify' | 'delete';
      readonly section: NetworkSection;
      readonly xml: string;
      readonly subnet?: number | undefined;
    },
    scope?: ChangeScope,
    options?: CallOptions,
  ): Promise<void>;
}

export interface SnapshotCalls {
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
}

/** Opens a connection: `qemu:///system`, `qemu:///session`, `test:///default`, `qemu+ssh://user@host/system`, each with `?socket=/path`. */
export type ConnectHypervisor = (uri: string, options?: CallOptions & { readonly questions?: SshQuestions }) => Promise<Hypervisor>;
