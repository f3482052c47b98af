import { z } from 'zod';

/** What one running VM uses at the moment. */
export const VmNumbers = z.object({
  name: z.string(),
  /** Cores used: 1 is one core, busy all the time. */
  cores: z.number(),
  /** Bytes of the host's memory; null where the hypervisor does not tell. */
  memory: z.number().nullable(),
  /** Bytes of its own memory that the guest uses, by what it tells its balloon each few seconds; null before, and where it does not. */
  guestMemory: z.number().nullable(),
  /** Bytes of memory that the guest has now, by its balloon; null where the hypervisor does not tell. */
  balloon: z.number().nullable(),
  /** Bytes a second, of all disks and of all NICs. */
  diskRead: z.number(),
  diskWritten: z.number(),
  received: z.number(),
  sent: z.number(),
});
export type VmNumbers = z.infer<typeof VmNumbers>;

/** What the running VMs of an environment use, by the order of their names; VMs that are off are left out. */
export const LiveNumbers = z.object({ vms: z.array(VmNumbers) });
export type LiveNumbers = z.infer<typeof LiveNumbers>;
