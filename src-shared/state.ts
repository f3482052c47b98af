import { z } from 'zod';
import { BootState } from './boot.ts';
import { VmDeploy } from './deploy.ts';
import { PackagesState } from './repos/packages-state.ts';
import { SnapshotState, TimelineEvent } from './snapshot/timeline.ts';

/** A VM's status in Lago's words (libvirt's states, and `down` when libvirt does not know the VM). */
export const VmStatus = z.enum([
  'down',
  'running',
  'paused',
  'being shut down',
  'shut off',
  'crashed',
  'suspended',
  'blocked',
  'no state',
  'unknown',
]);
export type VmStatus = z.infer<typeof VmStatus>;

/** How a VM ended that was not stopped on purpose; kept until it is started, stopped or reverted. */
export const CrashState = z.object({
  /** ms since the epoch; null when unknown. */
  at: z.number().nullable(),
  /** The cause as far as libvirt knows it, one sentence. */
  reason: z.string(),
  /** QEMU's last log lines, oldest first; empty when its log cannot be read. */
  lines: z.array(z.string()),
  /** The last lines that the guest printed on its serial console, oldest first; empty when they cannot be read. */
  console: z.array(z.string()).readonly(),
});
export type CrashState = z.infer<typeof CrashState>;

/** How an address is known: the guest's agent said so, a DHCP server has leased it, or a host of the network has heard it (ARP). */
export const AddressSource = z.enum(['agent', 'lease', 'arp']);
export type AddressSource = z.infer<typeof AddressSource>;

export const NicState = z.object({
  name: z.string(),
  network: z.string(),
  /** The planned address; null on a network without. */
  ip: z.string().nullable(),
  mac: z.string().nullable(),
  /** Present when its cable is unplugged. */
  link: z.literal('down').optional(),
  /** The addresses that it has been seen with since its VM came up; absent when nobody looked. */
  seen: z.array(z.object({ ip: z.string(), source: AddressSource })).optional(),
});
export type NicState = z.infer<typeof NicState>;

export const VmState = z.object({
  name: z.string(),
  status: VmStatus,
  /** Present exactly when the status is `crashed`. */
  crash: CrashState.nullable(),
  /** Present when another program has changed it in libvirt, or ended it: what, and what to do. */
  problem: z.string().optional(),
  /** Present when it is down because its guest shut itself down. */
  shutDownByGuest: z.literal(true).optional(),
  distro: z.string().nullable(),
  /** MiB that it is started with. */
  memory: z.number(),
  /** MiB that its balloon leaves of them; absent when it has all. */
  balloon: z.number().optional(),
  vcpu: z.number(),
  /** Address on the management network; null on a bridge network. */
  ip: z.string().nullable(),
  nics: z.array(NicState),
  disks: z.array(z.object({ name: z.string(), dev: z.string(), format: z.string(), path: z.string() })),
  snapshots: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  /** How far it has booted; null when it is not running, or when only an engine that has watched it knows. */
  boot: BootState.nullable(),
  /** `ready` once a login by ssh was accepted since the last start; `waiting` while it is being tried; `off` when the VM is not running. */
  ssh: z.enum(['off', 'waiting', 'ready', 'unknown']),
  /** ms since the epoch at which the VM was started; null when unknown. */
  startedAt: z.number().nullable(),
  /** Whether the VM has a VNC display. */
  screen: z.boolean(),
});
export type VmState = z.infer<typeof VmState>;

export const NetworkState = z.object({
  name: z.string(),
  type: z.enum(['nat', 'bridge']),
  status: z.enum(['up', 'down']),
  /** Present when something is wrong with it although it is up: what, and what to do. */
  problem: z.string().optional(),
  gateway: z.string().nullable(),
  management: z.boolean(),
  dhcp: z.object({ start: z.number(), end: z.number() }).nullable(),
  domain: z.string().nullable(),
});
export type NetworkState = z.infer<typeof NetworkState>;

export const HostSummary = z.object({
  kind: z.enum(['embedded', 'system', 'remote']),
  /** libvirt URI; of a host on another machine the machine's address: `ssh://user@machine`. */
  uri: z.string(),
  status: z.enum(['down', 'up', 'unusable']),
  /** Why it is unusable, or down although nobody stopped it; null otherwise. */
  problem: z.string().nullable(),
  accelerator: z.enum(['kvm', 'tcg', 'unknown']),
  /** How guests reach the outside, if at all. */
  uplink: z.enum(['none', 'pasta', 'slirp4netns']),
});
export type HostSummary = z.infer<typeof HostSummary>;

/** A port of this machine's loopback address that leads to a port of a VM, until it or the program is closed. */
export const ForwardState = z.object({
  id: z.string(),
  /** uuid of the VM's environment. */
  prefix: z.string(),
  vm: z.string(),
  /** Port in the guest. */
  port: z.number(),
  localPort: z.number(),
});
export type ForwardState = z.infer<typeof ForwardState>;

/** Everything that a view shows of one environment: a whole value, sent again at each change. */
export const PrefixState = z.object({
  /** The prefix's uuid (32 hex digits). */
  id: z.string(),
  name: z.string(),
  path: z.string(),
  workdir: z.string().nullable(),
  phase: z.enum(['creating', 'ready', 'cleaned', 'broken']),
  /** Why it is broken, one sentence. */
  problem: z.string().nullable(),
  /** Path of the init file that it was created from; null when unknown. */
  initFile: z.string().nullable(),
  host: HostSummary,
  vms: z.array(VmState),
  networks: z.array(NetworkState),
  snapshots: z.array(SnapshotState),
  /** What else happened to it, oldest first: small marks on the timeline. */
  events: z.array(TimelineEvent),
  /**
   * uuid of the environment that this one was forked from, when (ms since the epoch), and the name of its snapshot that it began with, or
   * null for its present at that time. Null when it was not forked.
   */
  forkedFrom: z.object({ id: z.string(), at: z.number(), snapshot: z.string().nullable() }).nullable(),
  /** The VMs that have deploy scripts, and how the last run of each script went. */
  deploy: z.array(VmDeploy),
  /** Absent while it has neither merged packages nor a server for some. */
  packages: PackagesState.optional(),
  /** Disk usage of its files in bytes. */
  diskUsage: z.number(),
  /** What the process that holds the write lock is doing, and for how long. */
  busy: z.string().nullable(),
});
export type PrefixState = z.infer<typeof PrefixState>;

/** One check of the machine. */
export const HostCheck = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['ok', 'warning', 'error']),
  /** Why it matters or what was found, one sentence. */
  detail: z.string(),
  /** What to do, where possible as a command to copy. */
  remedy: z.string().nullable(),
  command: z.string().nullable(),
});
export type HostCheck = z.infer<typeof HostCheck>;

/** The machine as the status bar shows it. */
export const MachineState = z.object({
  checks: z.array(HostCheck),
  accelerator: z.enum(['kvm', 'tcg', 'unknown']),
  memoryFree: z.number(),
  memoryTotal: z.number(),
  cpus: z.number(),
  /** Free bytes where new environments are created. */
  diskFree: z.number(),
});
export type MachineState = z.infer<typeof MachineState>;

/** One version of a template: in a repository, in the store, or both. Times are ms since the epoch; sizes are bytes. */
export const TemplateVersionState = z.object({
  /** `REPO:TEMPLATE:VERSION`, the name that the library's calls take. */
  fullName: z.string(),
  version: z.string(),
  /** Stands for the vendor's newest image; a fetch resolves it and adds that image as a version of its own. */
  moving: z.boolean(),
  /** Whether it is in the store. */
  cached: z.boolean(),
  /** Size in the store; null when it is not there. */
  size: z.number().nullable(),
  /** Size that a guest sees; null when not known yet. */
  virtualSize: z.number().nullable(),
  format: z.enum(['qcow2', 'raw']).nullable(),
  /** Publication time; null when its repository does not say. */
  publishedAt: z.number().nullable(),
  /** When it was last used or fetched; null when it is not in the store. */
  usedAt: z.number().nullable(),
  /** Environments whose disks are based on it; it cannot be evicted while there are any. */
  usedBy: z.array(z.object({ name: z.string(), path: z.string() })),
  /** URL of the image; null when no repository lists it any more. */
  from: z.string().nullable(),
  /** Id of the operation that is fetching, verifying or evicting it. */
  operation: z.string().nullable(),
});
export type TemplateVersionState = z.infer<typeof TemplateVersionState>;

export const TemplateState = z.object({
  /** `REPO:TEMPLATE`. */
  id: z.string(),
  name: z.string(),
  repository: z.string(),
  /** "Debian 12": from the metadata if it has a title, else its name. */
  title: z.string(),
  distro: z.string().nullable(),
  /** Whether it is set up by cloud-init (host name, key, password). */
  cloudInit: z.boolean(),
  /** Newest first; a moving version before all others. */
  versions: z.array(TemplateVersionState),
});
export type TemplateState = z.infer<typeof TemplateState>;

export const TemplateRepositoryState = z.object({
  name: z.string(),
  /** Path or URL. */
  location: z.string(),
  /** `configured`: named by lago.conf or the command line; `added`: a clone in the repositories folder. */
  kind: z.enum(['built-in', 'configured', 'added']),
  /** Why its templates are not listed, one sentence. */
  problem: z.string().nullable(),
  /** Number of templates. */
  templates: z.number(),
});
export type TemplateRepositoryState = z.infer<typeof TemplateRepositoryState>;

/** Everything that the library shows: a whole value, sent again at each change. Reading it contacts no server. */
export const LibraryState = z.object({
  /** Path of the store. */
  store: z.string(),
  /** Why the other fields are out of date, one sentence. */
  problem: z.string().nullable(),
  /** Total bytes of its templates. */
  size: z.number(),
  /** Bytes of templates that no environment uses. */
  unused: z.number(),
  /** Folder for added repositories. */
  repositoriesDir: z.string(),
  repositories: z.array(TemplateRepositoryState),
  templates: z.array(TemplateState),
});
export type LibraryState = z.infer<typeof LibraryState>;
