import { z } from 'zod';

/** Formats of a disk that is added to a VM. */
export const ADDED_FORMATS = ['qcow2', 'raw'] as const;
/** How a guest sees a disk: as vda… (virtio) or sda… (virtio-scsi). */
export const ADDED_BUSES = ['virtio', 'scsi'] as const;

/** MiB below which a guest ends its own processes. */
export const LEAST_MEMORY = 64;
/** MiB, as in init files. */
export const MOST_MEMORY = 16_777_216;

/** Folder below the prefix with the images that changes have made: they go with their disks. */
export const ADDED_IMAGES = 'images/added';

const Path = z.string().startsWith('/');

/**
 * One change of a VM's devices or memory, in force at once if the VM runs, and kept in its definition. A card is named as in the state
 * (`eth0` is the first one in the definition), a disk by its name or device.
 */
export const VmChange = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('link'), nic: z.string(), link: z.enum(['up', 'down']) }),
  /** Puts the image into the CD drive; `null` ejects. `device` says which drive, if there are several. */
  z.object({ kind: z.literal('cd'), file: Path.nullable(), device: z.string().optional() }),
  /** A new, empty disk of that size (`10G`), or the image `file`, which the guest then changes. `allowPaths`: see `prefix.create`. */
  z.object({
    kind: z.literal('add-disk'),
    size: z.string().optional(),
    file: Path.optional(),
    format: z.enum(ADDED_FORMATS).optional(),
    bus: z.enum(ADDED_BUSES).optional(),
    allowPaths: z.array(Path).max(1000).optional(),
  }),
  z.object({ kind: z.literal('remove-disk'), disk: z.string() }),
  /** `ip`: an address of the network; by default the lowest free one. */
  z.object({ kind: z.literal('add-nic'), net: z.string(), ip: z.string().optional() }),
  z.object({ kind: z.literal('remove-nic'), nic: z.string() }),
  /** While the VM runs, its balloon leaves it that much, at most the memory it was started with; else the memory of its next start. */
  z.object({ kind: z.literal('memory'), size: z.string() }),
]);
export type VmChange = z.infer<typeof VmChange>;

/** What a change did, beyond what was asked for: sentences for the user. */
export interface VmChanged {
  readonly notes: readonly string[];
}

/** A sentence about the change, for its operation. */
export function changeLabel(vm: string, change: VmChange): string {
  switch (change.kind) {
    case 'link':
      return `Set link of ${change.nic} of ${vm} ${change.link}`;
    case 'cd':
      return change.file === null ? `Eject the CD of ${vm}` : `Change the CD of ${vm}`;
    case 'add-disk':
      return `Add a disk to ${vm}`;
    case 'remove-disk':
      return `Remove disk ${change.disk} of ${vm}`;
    case 'add-nic':
      return `Add a network card on ${change.net} to ${vm}`;
    case 'remove-nic':
      return `Remove network card ${change.nic} of ${vm}`;
    case 'memory':
      return `Set memory of ${vm} to ${change.size}`;
  }
}
