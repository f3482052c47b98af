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

export const VmState = z.object({
  name: z.string(),
  status: VmStatus,
  distro: z.string().nullable(),
  memory: z.number(),
  vcpu: z.number(),
  /** The address on the management network, null on a bridge network. */
  ip: z.string().nullable(),
  nics: z.array(z.object({ name: z.string(), network: z.string(), ip: z.string().nullable(), mac: z.string().nullable() })),
  disks: z.array(z.object({ name: z.string(), dev: z.string(), format: z.string(), path: z.string() })),
  snapshots: z.array(z.string()),
  rootPassword: z.union([z.string(), z.number()]).nullable(),
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
  status: z.enum(['up', 'down']),
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
