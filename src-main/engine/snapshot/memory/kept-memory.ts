import { join } from 'node:path';
import type { Prefix } from '../../prefix/prefix.ts';

/** The file with the VM's memory when the snapshot was taken: QEMU's migration stream. */
export function keptMemory(prefix: Prefix, snapshot: string, vm: string): string {
  return join(prefix.paths.snapshots, snapshot, `${vm}.memory`);
}

/** The file with libvirt's migratable description of the VM when the snapshot was taken. */
export function keptDomain(prefix: Prefix, snapshot: string, vm: string): string {
  return join(prefix.paths.snapshots, snapshot, `${vm}.domain.xml`);
}
