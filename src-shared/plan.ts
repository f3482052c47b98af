import { z } from 'zod';
import { Issue } from './issue.ts';

/** A file outside of what an init file may name by itself: it needs the user's yes. */
export const OutsidePath = z.object({
  /** Absolute, links followed. */
  path: z.string(),
  /** Whether a guest would see it or also change it. */
  access: z.enum(['read', 'write']),
  /** Where the init file names it first, as `domains.web.disks[0].path`. */
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
  /** Deploy scripts, absolute paths on this machine, in the order in which they would run. */
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
  /** Host name → address, every name that this network gives. */
  mapping: z.record(z.string(), z.string()),
  dns_records: z.record(z.string(), z.string()),
  mtu: z.number().nullable(),
});
export type PlannedNet = z.infer<typeof PlannedNet>;

export const PlannedDownload = z.object({
  /** `REPO:TEMPLATE:VERSION` or a URL. */
  name: z.string(),
  from: z.string(),
  /** Bytes to fetch where the source says so. */
  size: z.number().nullable(),
});

/** What `init` would make of an init file; documented and stable as the JSON form of `lago plan`. */
export const Plan = z.object({
  vms: z.record(z.string(), PlannedVm),
  nets: z.record(z.string(), PlannedNet),
  downloads: z.array(PlannedDownload),
  issues: z.array(Issue),
});
export type Plan = z.infer<typeof Plan>;
