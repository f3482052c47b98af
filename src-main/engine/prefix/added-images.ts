import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../core/disk-error.ts';
import { expandPrefixPath } from './layout.ts';
import { type Prefix, readSpecs } from './prefix.ts';

/**
 * Removes the images of added disks that neither a VM's present definition nor one of its snapshots names: of disks that were removed, and
 * of an addition that was interrupted. The lock must be held. Images that came with the environment are never touched.
 */
export async function sweepAddedImages({ paths }: Prefix): Promise<void> {
  const names = await readdir(paths.addedImages).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw diskError(error, paths.addedImages);
  });
  if (names.length === 0) return;
  const { vms } = await readSpecs(paths);
  const listed = vms.flatMap((vm) => [...vm.disks, ...Object.values(vm.snapshots).flat()]);
  const used = new Set(listed.flatMap(({ path }) => (typeof path === 'string' ? [expandPrefixPath(path, paths.root)] : [])));
  for (const name of names) {
    const path = join(paths.addedImages, name);
    if (!used.has(path)) await rm(path, { force: true });
  }
}
