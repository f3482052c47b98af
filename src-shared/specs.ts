import { z } from 'zod';

/**
 * The JSON files below `PREFIX/virt` in Lago's format (`virt/env`, `virt/net-NAME`, `virt/vm-NAME`). Unknown keys are kept, so that
 * files written by Lago or a plugin lose nothing when rewritten. Paths may begin with `$LAGO_PREFIX_PATH`.
 */
export const DiskSpec = z.looseObject({
  name: z.string().default(''),
  /** Target device: vda, sda, hda... */
  dev: z.string(),
  /** qcow2, raw or iso. */
  format: z.string().default('qcow2'),
  type: z.string().default('file'),
  /** Empty for a CD drive without a CD. */
  path: z.string(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  /** Not in Lago: attached read-only (seed images). */
  readonly: z.boolean().optional(),
});
export type DiskSpec = z.infer<typeof DiskSpec>;

export const NicSpec = z.looseObject({
  net: z.string(),
  ip: z.string().optional(),
  mtu: z.number().optional(),
  /** Not in Lago: the cable is unplugged. */
  link: z.enum(['up', 'down']).optional(),
  /** Not in Lago: its MAC address, where it does not follow from the address or the card's place in the list. */
  hwaddr: z
    .string()
    .regex(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/)
    .optional(),
});
export type NicSpec = z.infer<typeof NicSpec>;

export const VmSpec = z.looseObject({
  name: z.string(),
  memory: z.coerce.number().default(16384),
  /** Not in Lago: what the balloon leaves of the memory, MiB; all of it if absent. */
  balloon: z.coerce.number().optional(),
  vcpu: z.coerce.number().optional(),
  cpu: z.coerce.number().optional(),
  cpu_model: z.string().optional(),
  cpu_custom: z.record(z.string(), z.unknown()).optional(),
  nics: z.array(NicSpec).default([]),
  disks: z.array(DiskSpec).default([]),
  metadata: z.record(z.string(), z.unknown()).default({}),
  mgmt_net: z.string().optional(),
  'vm-type': z.string().default('default'),
  'vm-provider': z.string().default('local-libvirt'),
  'ssh-user': z.string().default('root'),
  'ssh-password': z.union([z.string(), z.number()]).optional(),
  'root-password': z.union([z.string(), z.number()]).optional(),
  distro: z.string().optional(),
  boot_time_sec: z.coerce.number().optional(),
  groups: z.array(z.string()).optional(),
  /** VMs to be powered on before this one. */
  'start-after': z.array(z.string()).optional(),
  artifacts: z.array(z.string()).optional(),
  /** Snapshot name → the disk entries at that moment, as Lago records them. */
  snapshots: z.record(z.string(), z.array(z.looseObject({}))).default({}),
});
export type VmSpec = z.infer<typeof VmSpec>;

export const NetSpec = z.looseObject({
  name: z.string(),
  type: z.enum(['nat', 'bridge']).default('nat'),
  /** The gateway's address; absent on bridge networks. */
  gw: z.string().optional(),
  /** Last octets of the dynamic pool. */
  dhcp: z.object({ start: z.coerce.number(), end: z.coerce.number() }).optional(),
  management: z.boolean().default(false),
  mapping: z.record(z.string(), z.string()).default({}),
  dns_domain_name: z.string().optional(),
  dns_records: z.record(z.string(), z.string()).optional(),
  /** On non-management networks: gateway of the management network, to which DNS queries are forwarded. */
  dns_forward: z.string().optional(),
  mtu: z.coerce.number().optional(),
});
export type NetSpec = z.infer<typeof NetSpec>;

export const EnvSpec = z.looseObject({ nets: z.array(z.string()), vms: z.array(z.string()) });
export type EnvSpec = z.infer<typeof EnvSpec>;

/** An environment's complete definition as the prefix stores it, in file order. */
export interface EnvironmentSpecs {
  readonly vms: readonly VmSpec[];
  readonly nets: readonly NetSpec[];
}
