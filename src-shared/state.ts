import { z } from 'zod';

/** What a VM is doing, in Lago's words (libvirt's states, `down` when libvirt does not know it). */
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

/** How a VM ended that nobody stopped; kept until it is started, stopped or reverted. */
export const CrashState = z.object({
  /** ms since the epoch, null where nobody wrote it down. */
  at: z.number().nullable(),
  /** Why, as far as libvirt knows: one sentence. */
  reason: z.string(),
  /** What QEMU wrote last, oldest first; empty where its log cannot be read. */
  lines: z.array(z.string()),
});
export type CrashState = z.infer<typeof CrashState>;

export const VmState = z.object({
  name: z.string(),
  status: VmStatus,
  /** Present exactly when its status is `crashed`. */
  crash: CrashState.nullable(),
  distro: z.string().nullable(),
  memory: z.number(),
  vcpu: z.number(),
  /** The address on the management network, null on a bridge network. */
  ip: z.string().nullable(),
  nics: z.array(z.object({ name: z.string(), network: z.string(), ip: z.string().nullable(), mac: z.string().nullable() })),
  disks: z.array(z.object({ name: z.string(), dev: z.string(), format: z.string(), path: z.string() })),
  snapshots: z.array(z.string()),
  metadata: z.record(z.string(), z.unknown()),
  /** `ready` once ssh answered since the last start; `waiting` while it is being tried; `off` when the VM is not running. */
  ssh: z.enum(['off', 'waiting', 'ready', 'unknown']),
  /** ms since the epoch at which it began to run, where known. */
  startedAt: z.number().nullable(),
  /** Whether it has a VNC screen. */
  screen: z.boolean(),
});
export type VmState = z.infer<typeof VmState>;

export const NetworkState = z.object({
  name: z.string(),
  type: z.enum(['nat', 'bridge']),
  status: z.enum(['up', 'down']),
  gateway: z.string().nullable(),
  management: z.boolean(),
  dhcp: z.object({ start: z.number(), end: z.number() }).nullable(),
  domain: z.string().nullable(),
});
export type NetworkState = z.infer<typeof NetworkState>;

/** One point of the environment's timeline. Times are ms since the epoch. */
export const SnapshotState = z.object({
  name: z.string(),
  createdAt: z.number(),
  /** The snapshot that the environment stood on when this one was taken; null for a root. */
  parent: z.string().nullable(),
  /** VM → with memory (it ran) or only disks (it was off). */
  vms: z.record(z.string(), z.enum(['memory', 'disk'])),
  /** True for the one that the present is built on. */
  current: z.boolean(),
});
export type SnapshotState = z.infer<typeof SnapshotState>;

export const HostSummary = z.object({
  kind: z.enum(['embedded', 'system']),
  /** libvirt URI. */
  uri: z.string(),
  status: z.enum(['down', 'up', 'unusable']),
  /** Why it is unusable, one sentence; null otherwise. */
  problem: z.string().nullable(),
  accelerator: z.enum(['kvm', 'tcg', 'unknown']),
  /** Whether guests reach the outside. */
  uplink: z.enum(['none', 'pasta', 'slirp4netns']),
});
export type HostSummary = z.infer<typeof HostSummary>;

/** Everything a view shows of one environment, whole, sent again at each change. */
export const PrefixState = z.object({
  /** The prefix's uuid (32 hex digits). */
  id: z.string(),
  name: z.string(),
  path: z.string(),
  workdir: z.string().nullable(),
  phase: z.enum(['creating', 'ready', 'cleaned', 'broken']),
  /** Why it is broken, one sentence. */
  problem: z.string().nullable(),
  /** Where the init file was. */
  initFile: z.string().nullable(),
  host: HostSummary,
  vms: z.array(VmState),
  networks: z.array(NetworkState),
  snapshots: z.array(SnapshotState),
  /** Bytes that its files take on disk. */
  diskUsage: z.number(),
  /** Process that holds its write lock: what it does, for how long. */
  busy: z.string().nullable(),
});
export type PrefixState = z.infer<typeof PrefixState>;

/** One preflight check of the machine. */
export const HostCheck = z.object({
  id: z.string(),
  title: z.string(),
  state: z.enum(['ok', 'warning', 'error']),
  /** Why it matters or what was found, one sentence. */
  detail: z.string(),
  /** What to do; a command the user can copy where there is one. */
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
  /** Bytes free where new environments go. */
  diskFree: z.number(),
});
export type MachineState = z.infer<typeof MachineState>;

/** One version of a template: in a repository, in the store, or both. Times are ms since the epoch, sizes bytes. */
export const TemplateVersionState = z.object({
  /** `REPO:TEMPLATE:VERSION`: what the library's calls take. */
  fullName: z.string(),
  version: z.string(),
  /** Stands for the newest image that its vendor has; a fetch finds out which that is and adds it as a version of its own. */
  moving: z.boolean(),
  /** Whether the store has it. */
  cached: z.boolean(),
  /** What it takes in the store, null when it is not there. */
  size: z.number().nullable(),
  /** What a guest sees, null when nobody knows yet. */
  virtualSize: z.number().nullable(),
  format: z.enum(['qcow2', 'raw']).nullable(),
  /** Published, null when its repository does not say. */
  publishedAt: z.number().nullable(),
  /** Last used or fetched, null when it is not in the store. */
  usedAt: z.number().nullable(),
  /** Environments that stand on it; it cannot be evicted while there is one. */
  usedBy: z.array(z.object({ name: z.string(), path: z.string() })),
  /** URL of the image, null when no repository has it any more. */
  from: z.string().nullable(),
  /** Id of the operation that fetches, verifies or evicts it now. */
  operation: z.string().nullable(),
});
export type TemplateVersionState = z.infer<typeof TemplateVersionState>;

export const TemplateState = z.object({
  /** `REPO:TEMPLATE`. */
  id: z.string(),
  name: z.string(),
  repository: z.string(),
  /** "Debian 12", from the metadata where they say it, else its name. */
  title: z.string(),
  distro: z.string().nullable(),
  /** Whether it takes its name, key and password from cloud-init. */
  cloudInit: z.boolean(),
  /** Newest first; a moving one before all. */
  versions: z.array(TemplateVersionState),
});
export type TemplateState = z.infer<typeof TemplateState>;

export const TemplateRepositoryState = z.object({
  name: z.string(),
  /** Path or URL. */
  location: z.string(),
  /** `configured`: named by lago.conf or the command line; `added`: a clone in the folder of repositories. */
  kind: z.enum(['built-in', 'configured', 'added']),
  /** Why its templates are not listed, one sentence. */
  problem: z.string().nullable(),
  /** Number of templates. */
  templates: z.number(),
});
export type TemplateRepositoryState = z.infer<typeof TemplateRepositoryState>;

/** Everything that the library shows, whole, sent again at each change. Reading it asks no server. */
export const LibraryState = z.object({
  /** Folder of the store. */
  store: z.string(),
  /** Why the rest is not what is there now, one sentence. */
  problem: z.string().nullable(),
  /** Bytes that its templates take. */
  size: z.number(),
  /** Bytes of them that no environment uses. */
  unused: z.number(),
  /** Where added repositories go. */
  repositoriesDir: z.string(),
  repositories: z.array(TemplateRepositoryState),
  templates: z.array(TemplateState),
});
export type LibraryState = z.infer<typeof LibraryState>;
