import { typedParameters } from './typed-parameters.ts';
import { type Codec, counter, hyper, int, list, nothing, optional, string, struct, uint, uuid, type ValueOf } from './xdr.ts';

/**
 * The part of libvirt's RPC protocol that Lago uses, under our own names; the TypeScript types follow from the table. Numbers and layouts
 * are those of libvirt's remote protocol, a stable ABI: messages are added, never changed (identical in 7.0 to 11.3 for everything here).
 * Calls that pass file descriptors are omitted on purpose: Node cannot receive them.
 */

export const REMOTE_PROGRAM = 0x20008086;
export const QEMU_PROGRAM = 0x20008087;
export const KEEPALIVE_PROGRAM = 0x6b656570;
export const PROTOCOL_VERSION = 1;
export const KEEPALIVE_PING = 1;
export const KEEPALIVE_PONG = 2;

/** libvirt's limit for lists of domains, networks and snapshots. */
const OBJECTS_MAX = 16384;

export const domainRef = struct({ name: string, uuid, id: int });
export const networkRef = struct({ name: string, uuid });
export const snapshotRef = struct({ name: string, domain: domainRef });
export const dhcpLease = struct({
  interface: string,
  expiresAt: hyper,
  family: int,
  mac: optional(string),
  iaid: optional(string),
  ip: string,
  prefix: uint,
  hostname: optional(string),
  clientId: optional(string),
});

/** The payload of a reply with status "error". */
export const remoteError = struct({
  code: int,
  domain: int,
  message: optional(string),
  level: int,
  unusedDomain: optional(domainRef),
  text1: optional(string),
  text2: optional(string),
  text3: optional(string),
  number1: int,
  number2: int,
  unusedNetwork: optional(networkRef),
});

export type DomainRef = ValueOf<typeof domainRef>;
export type NetworkRef = ValueOf<typeof networkRef>;
export type SnapshotRef = ValueOf<typeof snapshotRef>;
export type RemoteError = ValueOf<typeof remoteError>;

export interface Procedure<A, R> {
  /** Our name for it, as it appears in the details of an error. */
  readonly name: string;
  readonly program: number;
  readonly number: number;
  /** May take seconds in the daemon (QEMU starts, disks are written): uses the slow connection. */
  readonly slow: boolean;
  /**
   * Is not abandoned once it is sent: otherwise the caller would undo, or release a lock, while the daemon is still working. The signal
   * stops it only before that; afterwards it is waited for, up to its time limit.
   */
  readonly changes: boolean;
  readonly args: Codec<A>;
  readonly result: Codec<R>;
}

/** A message that the daemon sends unasked. */
export interface Notice<T> {
  readonly program: number;
  readonly number: number;
  readonly body: Codec<T>;
}

type Unnamed<A, R> = Omit<Procedure<A, R>, 'name'>;

function fast<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: REMOTE_PROGRAM, number, slow: false, changes: false, args, result };
}

function slow<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: REMOTE_PROGRAM, number, slow: true, changes: false, args, result };
}

function change<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: REMOTE_PROGRAM, number, slow: true, changes: true, args, result };
}

function slowQemu<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: QEMU_PROGRAM, number, slow: true, changes: false, args, result };
}

type Named<T> = { readonly [K in keyof T]: T[K] extends Unnamed<infer A, infer R> ? Procedure<A, R> : never };

function named<T extends Readonly<Record<string, Unnamed<unknown, unknown>>>>(table: T): Named<T> {
  return Object.fromEntries(Object.entries(table).map(([name, entry]) => [name, { ...entry, name }])) as unknown as Named<T>;
}

const flags = uint;
const domainWithFlags = struct({ domain: domainRef, flags });
const snapshotWithFlags = struct({ snapshot: snapshotRef, flags });
const listing = struct({ wantResults: int, flags });
const onlyDomain = struct({ domain: domainRef });
const onlyNetwork = struct({ network: networkRef });
const onlyXml = struct({ xml: string });
const deviceXml = struct({ domain: domainRef, xml: string, flags });
const diskWithFlags = struct({ domain: domainRef, disk: string, flags });
const mountpoints = struct({ domain: domainRef, mountpoints: list(string, 256), flags });
const fileSystems = struct({ fileSystems: int });
const address = struct({ family: int, ip: string, prefix: uint });
const guestInterface = struct({ name: string, mac: optional(string), addresses: list(address, 2048) });
const domainStatistics = struct({ domain: domainRef, values: typedParameters(262144) });

export const procedures = named({
  authList: fast(66, nothing, struct({ types: list(int, 20) })),
  authPolkit: fast(70, nothing, struct({ complete: int })),

  connectOpen: fast(1, struct({ name: optional(string), flags }), nothing),
  connectGetVersion: fast(4, nothing, struct({ version: hyper })),
  connectGetLibVersion: fast(157, nothing, struct({ version: hyper })),
  connectSupportsFeature: fast(60, struct({ feature: int }), struct({ supported: int })),
  connectGetCapabilities: slow(7, nothing, onlyXml),
  connectGetDomainCapabilities: slow(
    342,
    struct({ emulator: optional(string), arch: optional(string), machine: optional(string), virtType: optional(string), flags }),
    onlyXml,
  ),
  connectListAllDomains: fast(273, listing, struct({ domains: list(domainRef, OBJECTS_MAX), count: uint })),
  connectListAllNetworks: fast(283, listing, struct({ networks: list(networkRef, OBJECTS_MAX), count: uint })),
  connectDomainEventRegister: fast(316, struct({ event: int, domain: optional(domainRef) }), struct({ callback: int })),
  connectGetAllDomainStats: slow(
    344,
    struct({ domains: list(domainRef, OBJECTS_MAX), statistics: uint, flags }),
    struct({ records: list(domainStatistics, OBJECTS_MAX) }),
  ),
  connectNetworkEventRegister: fast(313, struct({ event: int, network: optional(networkRef) }), struct({ callback: int })),

  domainLookupByName: fast(23, struct({ name: string }), onlyDomain),
  domainGetState: fast(212, domainWithFlags, struct({ state: int, reason: int })),
  domainIsPersistent: fast(151, onlyDomain, struct({ persistent: int })),
  domainGetXml: fast(14, domainWithFlags, onlyXml),
  domainDefine: change(350, struct({ xml: string, flags }), onlyDomain),
  domainCreate: change(196, domainWithFlags, onlyDomain),
  domainDestroy: change(234, domainWithFlags, nothing),
  domainShutdown: slow(258, domainWithFlags, nothing),
  domainReboot: slow(27, domainWithFlags, nothing),
  domainReset: slow(245, domainWithFlags, nothing),
  domainSuspend: change(34, onlyDomain, nothing),
  domainResume: change(28, onlyDomain, nothing),
  domainUndefine: change(231, domainWithFlags, nothing),
  domainRename: change(358, struct({ domain: domainRef, name: optional(string), flags }), struct({ result: int })),
  domainGetInfo: slow(16, onlyDomain, struct({ state: uint, maxMemory: counter, memory: counter, vcpus: uint, cpuTime: counter })),
  domainSetMemory: change(204, struct({ domain: domainRef, memory: counter, flags }), nothing),
  domainAttachDevice: change(160, deviceXml, nothing),
  domainDetachDevice: change(161, deviceXml, nothing),
  domainUpdateDevice: change(174, deviceXml, nothing),
  domainGetInterfaceAddresses: slow(
    353,
    struct({ domain: domainRef, source: uint, flags }),
    struct({ interfaces: list(guestInterface, 2048) }),
  ),
  domainSendKey: slow(226, struct({ domain: domainRef, codeSet: uint, holdTime: uint, keys: list(uint, 16), flags }), nothing),
  domainFreeze: change(335, mountpoints, fileSystems),
  domainThaw: change(336, mountpoints, fileSystems),

  domainManagedSave: change(182, domainWithFlags, nothing),
  domainHasManagedSave: fast(183, domainWithFlags, struct({ result: int })),
  domainRemoveManagedSave: change(184, domainWithFlags, nothing),
  domainSave: change(232, struct({ domain: domainRef, path: string, xml: optional(string), flags }), nothing),
  domainRestore: change(233, struct({ path: string, xml: optional(string), flags }), nothing),
  // Both work while another call on the domain is under way, so they must not queue behind it.
  domainGetJobStats: fast(298, domainWithFlags, struct({ kind: int, values: typedParameters(64) })),
  domainAbortJob: fast(164, onlyDomain, nothing),

  domainBlockCopy: change(345, struct({ domain: domainRef, disk: string, xml: string, parameters: typedParameters(16), flags }), nothing),
  domainBlockCommit: change(
    290,
    struct({ domain: domainRef, disk: string, base: optional(string), top: optional(string), bandwidth: counter, flags }),
    nothing,
  ),
  domainBlockPull: change(240, struct({ domain: domainRef, disk: string, bandwidth: counter, flags }), nothing),
  domainBlockRebase: change(266, struct({ domain: domainRef, disk: string, base: optional(string), bandwidth: counter, flags }), nothing),
  domainBlockResize: change(251, struct({ domain: domainRef, disk: string, size: counter, flags }), nothing),
  domainGetBlockJobInfo: slow(238, diskWithFlags, struct({ found: int, kind: int, bandwidth: counter, done: counter, total: counter })),
  domainBlockJobAbort: change(237, diskWithFlags, nothing),
  domainScreenshot: slow(211, struct({ domain: domainRef, screen: uint, flags }), struct({ mime: optional(string) })),
  domainOpenConsole: slow(201, struct({ domain: domainRef, device: optional(string), flags }), nothing),
  domainMonitorCommand: slowQemu(1, struct({ domain: domainRef, command: string, flags }), struct({ result: string })),
  domainAgentCommand: slowQemu(
    3,
    struct({ domain: domainRef, command: string, timeout: int, flags }),
    struct({ result: optional(string) }),
  ),

  networkLookupByName: fast(46, struct({ name: string }), onlyNetwork),
  networkIsActive: fast(152, onlyNetwork, struct({ active: int })),
  networkIsPersistent: fast(153, onlyNetwork, struct({ persistent: int })),
  networkGetXml: fast(43, struct({ network: networkRef, flags }), onlyXml),
  networkDefine: change(41, onlyXml, onlyNetwork),
  networkCreate: change(39, onlyNetwork, nothing),
  networkDestroy: change(42, onlyNetwork, nothing),
  networkUndefine: change(49, onlyNetwork, nothing),
  networkUpdate: change(291, struct({ network: networkRef, command: uint, section: uint, parentIndex: int, xml: string, flags }), nothing),
  networkGetLeases: fast(
    341,
    struct({ network: networkRef, mac: optional(string), wantResults: int, flags }),
    struct({ leases: list(dhcpLease, 65536), count: uint }),
  ),

  snapshotListAll: fast(
    274,
    struct({ domain: domainRef, wantResults: int, flags }),
    struct({ snapshots: list(snapshotRef, OBJECTS_MAX), count: int }),
  ),
  snapshotLookupByName: fast(189, struct({ domain: domainRef, name: string, flags }), struct({ snapshot: snapshotRef })),
  snapshotCurrent: fast(191, domainWithFlags, struct({ snapshot: snapshotRef })),
  snapshotGetXml: fast(186, snapshotWithFlags, onlyXml),
  snapshotCreate: change(185, struct({ domain: domainRef, xml: string, flags }), struct({ snapshot: snapshotRef })),
  snapshotRevert: change(192, snapshotWithFlags, nothing),
  snapshotDelete: change(193, snapshotWithFlags, nothing),
});

export const notices = {
  domainLifecycle: {
    program: REMOTE_PROGRAM,
    number: 318,
    body: struct({ callback: int, domain: domainRef, event: int, detail: int }),
  },
  /** The guest was reset, from inside or outside. */
  domainReboot: { program: REMOTE_PROGRAM, number: 319, body: struct({ callback: int, domain: domainRef }) },
  deviceRemoved: { program: REMOTE_PROGRAM, number: 333, body: struct({ callback: int, domain: domainRef, alias: string }) },
  /** With the disk's target name. */
  blockJob: {
    program: REMOTE_PROGRAM,
    number: 339,
    body: struct({ callback: int, domain: domainRef, disk: string, kind: int, status: int }),
  },
  agentLifecycle: { program: REMOTE_PROGRAM, number: 348, body: struct({ callback: int, domain: domainRef, state: int, reason: int }) },
  jobCompleted: { program: REMOTE_PROGRAM, number: 363, body: struct({ callback: int, domain: domainRef, values: typedParameters(64) }) },
  networkLifecycle: {
    program: REMOTE_PROGRAM,
    number: 315,
    body: struct({ callback: int, network: networkRef, event: int, detail: int }),
  },
  /** The daemon lost its own connection to the hypervisor. */
  connectionClosed: { program: REMOTE_PROGRAM, number: 362, body: struct({ reason: int }) },
} as const;

/** The values of virErrorNumber that Lago distinguishes. */
export const LIBVIRT_ERROR = {
  noSupport: 3,
  /** Also: the far end of a stream has hung up. */
  rpc: 39,
  noDomain: 42,
  noNetwork: 43,
  authFailed: 45,
  operationInvalid: 55,
  noSnapshot: 72,
  revertRisky: 77,
  authCancelled: 79,
  accessDenied: 88,
  authUnavailable: 94,
} as const;
