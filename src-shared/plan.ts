import { z } from 'zod';
import { Issue } from './issue.ts';

/** A file outside the init file's folder: using it needs the user's consent. */
export const OutsidePath = z.object({
  /** Absolute, with symlinks resolved. */
  path: z.string(),
  /** Whether a guest could only read it or also change it. */
  access: z.enum(['read', 'write']),
  /** Where the init file first names it, such as `domains.web.disks[0].path`. */
  key: z.string(),
});
export type OutsidePath = z.infer<typeof OutsidePath>;

export const PlannedNic = z.object({ net: z.string(), ip: z.string().nullable(), mac: z.string().nullable() });

export const PlannedDisk = z.object({
  name: z.string(),
  dev: z.string(),
  format: z.string(),
  path: z.string(),
  type: z.string(),
  /** `REPO:TEMPLATE:VERSION` or the backing file's path; null for empty disks. */
  source: z.string().nullable(),
  /** Virtual size in bytes where it is known. */
  size: z.number().nullable(),
});

export const PlannedVm = z.object({
  /** MiB. */
  memory: z.number(),
  vcpu: z.number(),
  mgmt_net: z.string().nullable(),
  nics: z.array(PlannedNic),
  disks: z.array(PlannedDisk),
  distro: z.string().nullable(),
  groups: z.array(z.string()),
  /** Deploy scripts: absolute paths on this machine, in execution order. */
  scripts: z.array(z.string()),
  /** How the first boot is personalised. */
  bootstrap: z.enum(['virt-sysprep', 'cloud-init', 'none']),
});
export type PlannedVm = z.infer<typeof PlannedVm>;

export const PlannedNet = z.object({
  type: z.enum(['nat', 'bridge']),
  gw: z.string().nullable(),
  management: z.boolean(),
  dhcp: z.object({ start: z.number(), end: z.number() }).nullable(),
  dns_domain_name: z.string().nullable(),
  /** Host name → address, for every name on this network. */
  mapping: z.record(z.string(), z.string()),
  dns_records: z.record(z.string(), z.string()),
  mtu: z.number().nullable(),
});
export type PlannedNet = z.infer<typeof PlannedNet>;

export const PlannedDownload = z.object({
  /** `REPO:TEMPLATE:VERSION` or a URL. */
  name: z.string(),
  from: z.string(),
  /** Bytes to download; null when the source does not say. */
  size: z.number().nullable(),
});

/** What `init` would create from an init file; documented and stable as the JSON output of `lago plan`. */
export const Plan = z.object({
  vms: z.record(z.string(), PlannedVm),
  nets: z.record(z.string(), PlannedNet),
  downloads: z.array(PlannedDownload),
  issues: z.array(Issue),
});
export type Plan = z.infer<typeof Plan>;
