import { stat } from 'node:fs/promises';
import { basename, dirname, extname } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { DiskSpec, type VmSpec } from '../../../../src-shared/specs.ts';
import { fileBelow } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/** An image file of a snapshot's disks, as it will be in the exported folder. */
export interface PortableImage {
  readonly source: string;
  /** Below the folder `images`. */
  readonly name: string;
  /** The file that it is a layer on, also there. */
  readonly below: { readonly name: string; readonly format: 'qcow2' | 'raw' } | undefined;
  /** Bytes on the disk: holes do not count. */
  readonly bytes: number;
}

export interface PlannedImages {
  /** Lower ones before those that are layers on them. */
  readonly images: readonly PortableImage[];
  /** VM → its disks in the exported folder. */
  readonly disks: ReadonlyMap<string, readonly DiskSpec[]>;
}

/**
 * All image files that the disks of a snapshot need, also templates and whatever else is outside of the environment, and the definitions
 * of the disks with all of them in one folder. Nothing is merged, so that disks and memory stay exactly as they were kept.
 * `snapshot.missing` when a file is not there.
 */
export async function planImages(prefix: Prefix, snapshot: string, vms: readonly VmSpec[]): Promise<PlannedImages> {
  const { root, images, addedImages } = prefix.paths;
  const found = new Map<string, PortableImage>();
  const names = new Set<string>();

  function nameOf(path: string): string {
    const own = [images, addedImages].includes(dirname(path));
    // In a folder of their own, templates are never taken for layers of a disk, and are not merged.
    const wanted = own ? basename(path) : `base/${basename(path).replace(/[^A-Za-z0-9._-]/g, '-')}`;
    const stem = wanted.slice(0, wanted.length - extname(wanted).length);
    for (let number = 1; ; number++) {
      const name = number === 1 ? wanted : `${stem}-${number}${extname(wanted)}`;
      if (names.has(name)) continue;
      names.add(name);
      return name;
    }
  }

  async function add(path: string, format: string, what: string): Promise<PortableImage> {
    const known = found.get(path);
    if (known !== undefined) return known;
    const bytes = await allocatedBytes(path, `${what} of the snapshot "${snapshot}"`);
    const lower = format === 'qcow2' ? await fileBelow(path) : undefined;
    // The names of the environment's own files come first.
    const name = nameOf(path);
    const below = lower === undefined ? undefined : { name: (await add(lower.path, lower.format, what)).name, format: lower.format };
    const image = { source: path, name, below, bytes };
    found.set(path, image);
    return image;
  }

  const disks = new Map<string, readonly DiskSpec[]>();
  for (const vm of vms) {
    const moved: DiskSpec[] = [];
    for (const disk of z.array(DiskSpec).parse(vm.snapshots[snapshot] ?? vm.disks)) {
      if (disk.path === '') moved.push(disk);
      else {
        const { name } = await add(expandPrefixPath(disk.path, root), disk.format, `The disk ${disk.name} of VM ${vm.name}`);
        moved.push({ ...disk, path: `$LAGO_PREFIX_PATH/images/${name}` });
      }
    }
    disks.set(vm.name, moved);
  }
  return { images: [...found.values()], disks };
}

/** Bytes that a file takes on the disk. `snapshot.missing` when it is not there; `what` begins the message. */
export async function allocatedBytes(path: string, what: string): Promise<number> {
  try {
    return (await stat(path)).blocks * 512;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new EngineError('snapshot.missing', `${what} cannot be exported: ${path} is missing.`, { cause: error });
  }
}
