import { type Codec, hyper, int, list, nothing, optional, string, struct, uint, uuid, type ValueOf } from './xdr.ts';

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
  return { program: REMOTE_PROGRAM, number, slow: false, args, result };
}

function slow<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: REMOTE_PROGRAM, number, slow: true, args, result };
}

function slowQemu<A, R>(number: number, args: Codec<A>, result: Codec<R>): Unnamed<A, R> {
  return { program: QEMU_PROGRAM, number, slow: true, args, result };
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

export const procedures = named({
  authList: fast(66, nothing, struct({ types: list(int, 20) })),
  authPolkit: fast(70, nothing, struct({ complete: int })),

  connectOpen: fast(1, struct({ name: optional(string), flags }), nothing),
  connectGetVersion: fast(4, nothing, struct({ version: hyper })),
  connectGetLibVersion: fast(157, nothing, struct({ version: hyper })),
  connectGetCapabilities: slow(7, nothing, onlyXml),
  connectGetDomainCapabilities: slow(
    342,
    struct({ emulator: optional(string), arch: optional(string), machine: optional(string), virtType: optional(string), flags }),
    onlyXml,
  ),
  connectListAllDomains: fast(273, listing, struct({ domains: list(domainRef, OBJECTS_MAX), count: uint })),
  connectListAllNetworks: fast(283, listing, struct({ networks: list(networkRef, OBJECTS_MAX), count: uint })),
  connectDomainEventRegister: fast(316, struct({ event: int, domain: optional(domainRef) }), struct({ callback: int })),
  connectNetworkEventRegister: fast(313, struct({ event: int, network: optional(networkRef) }), struct({ callback: int })),

  domainLookupByName: fast(23, struct({ name: string }), onlyDomain),
  domainGetState: fast(212, domainWithFlags, struct({ state: int, reason: int })),
  domainIsPersistent: fast(151, onlyDomain, struct({ persistent: int })),
  domainGetXml: fast(14, domainWithFlags, onlyXml),
  domainDefine: slow(350, struct({ xml: string, flags }), onlyDomain),
  domainCreate: slow(196, domainWithFlags, onlyDomain),
  domainDestroy: slow(234, domainWithFlags, nothing),
  domainShutdown: slow(258, domainWithFlags, nothing),
  domainReboot: slow(27, domainWithFlags, nothing),
  domainReset: slow(245, domainWithFlags, nothing),
  domainSuspend: slow(34, onlyDomain, nothing),
  domainResume: slow(28, onlyDomain, nothing),
  domainUndefine: slow(231, domainWithFlags, nothing),
  domainScreenshot: slow(211, struct({ domain: domainRef, screen: uint, flags }), struct({ mime: optional(string) })),
  domainOpenConsole: slow(201, struct({ domain: domainRef, device: optional(string), flags }), nothing),
  domainAgentCommand: slowQemu(
    3,
    struct({ domain: domainRef, command: string, timeout: int, flags }),
    struct({ result: optional(string) }),
  ),

  networkLookupByName: fast(46, struct({ name: string }), onlyNetwork),
  networkIsActive: fast(152, onlyNetwork, struct({ active: int })),
  networkIsPersistent: fast(153, onlyNetwork, struct({ persistent: int })),
  networkGetXml: fast(43, struct({ network: networkRef, flags }), onlyXml),
  networkDefine: slow(41, onlyXml, onlyNetwork),
  networkCreate: slow(39, onlyNetwork, nothing),
  networkDestroy: slow(42, onlyNetwork, nothing),
  networkUndefine: slow(49, onlyNetwork, nothing),
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
  snapshotCreate: slow(185, struct({ domain: domainRef, xml: string, flags }), struct({ snapshot: snapshotRef })),
  snapshotRevert: slow(192, snapshotWithFlags, nothing),
  snapshotDelete: slow(193, snapshotWithFlags, nothing),
});

export const notices = {
  domainLifecycle: {
    program: REMOTE_PROGRAM,
    number: 318,
    body: struct({ callback: int, domain: domainRef, event: int, detail: int }),
  },
  /** The guest was reset, from inside or outside. */
  domainReboot: { program: REMOTE_PROGRAM, number: 319, body: struct({ callback: int, domain: domainRef }) },
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
