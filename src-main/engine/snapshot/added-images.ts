import { existsSync } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { diskError } from '../core/files/disk-error.ts';
import { fileBelow } from '../disk/layers.ts';
import { expandPrefixPath } from '../prefix/layout.ts';
import { type Prefix, readSpecs } from '../prefix/prefix.ts';

/**
 * Removes the images of added disks that neither a VM's present definition nor one of its snapshots names, and that are not below such a
 * file: of disks that were removed, and of an addition that was interrupted. The lock must be held. Images that came with the environment are never touched.
 */
export async function sweepAddedImages({ paths }: Prefix): Promise<void> {
  const names = await readdir(paths.addedImages).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw diskError(error, paths.addedImages);
  });
  if (names.length === 0) return;
  const { vms } = await readSpecs(paths);
  const listed = vms.flatMap((vm) => [...vm.disks, ...Object.values(vm.snapshots).flat()]);
  const used = new Set<string>();
  for (const { path } of listed) {
    if (typeof path === 'string' && path !== '') await addChain(expandPrefixPath(path, paths.root), used);
  }
  for (const name of names) {
    const path = join(paths.addedImages, name);
    if (!used.has(path)) await rm(path, { force: true });
  }
}

/** Adds a disk's file and the files below it. */
async function addChain(path: string, chain: Set<string>): Promise<void> {
  for (let at: string | undefined = path; at !== undefined && !chain.has(at); ) {
    chain.add(at);
    at = at.endsWith('.qcow2') && existsSync(at) ? (await fileBelow(at))?.path : undefined;
  }
}
