import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { DiskSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import { createLayer, nextLayerPath } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';

/** New layers of a VM's disks: target (`vda`) → path, absolute. */
export type VmLayers = Readonly<Record<string, string>>;

/** New layers by VM. */
export type Layers = Readonly<Record<string, VmLayers>>;

const LayersFile = z.record(z.string(), z.record(z.string(), z.string()));

/** Disks that a VM writes to: all but CDs and those attached read-only. */
export function writableDisks(vm: VmSpec): readonly DiskSpec[] {
  return vm.disks.filter((disk) => disk.format !== 'iso' && disk.readonly !== true);
}

/** Names for a new layer on each writable disk of these definitions. */
export function planLayers(prefix: Prefix, vms: readonly VmSpec[]): Layers {
  const taken = new Set<string>();
  const isTaken = (path: string): boolean => taken.has(path) || existsSync(path);
  return Object.fromEntries(
    vms.map((vm) => [
      vm.name,
      Object.fromEntries(
        writableDisks(vm).map((disk) => {
          const path = nextLayerPath(expandPrefixPath(disk.path, prefix.paths.root), prefix.paths.images, isTaken);
          taken.add(path);
          return [disk.dev, path];
        }),
      ),
    ]),
  );
}

/** Creates a VM's new layers, empty, on the disks of its definition. */
export async function createLayers(prefix: Prefix, vm: VmSpec, layers: VmLayers, signal: AbortSignal): Promise<void> {
  for (const disk of writableDisks(vm)) {
    const path = layers[disk.dev];
    if (path === undefined) continue;
    const below = expandPrefixPath(disk.path, prefix.paths.root);
    await createLayer({ path, below, belowFormat: disk.format === 'raw' ? 'raw' : 'qcow2' }, { signal });
  }
}

/** The definition with its disks replaced by layers on them. */
export function onLayers(prefix: Prefix, vm: VmSpec, layers: VmLayers): VmSpec {
  return {
    ...vm,
    disks: vm.disks.map((disk) => {
      const path = layers[disk.dev];
      return path === undefined ? disk : { ...disk, path: inPrefix(prefix, path), format: 'qcow2' };
    }),
  };
}

/** A path as definitions have it, so that a prefix can be moved. */
export function inPrefix(prefix: Prefix, path: string): string {
  const { root } = prefix.paths;
  return path.startsWith(`${root}/`) ? `$LAGO_PREFIX_PATH${path.slice(root.length)}` : path;
}

/** Remembers the layers of a snapshot that is being taken, for whoever has to take it back. */
export async function keepLayers(prefix: Prefix, snapshot: string, layers: Layers): Promise<void> {
  await writeJson(layersFile(prefix, snapshot), layers);
}

/** What `keepLayers` remembered; undefined when it did not come to that. */
export async function keptLayers(prefix: Prefix, snapshot: string): Promise<Layers | undefined> {
  return await readJson(layersFile(prefix, snapshot), LayersFile);
}

/** Removes layers that no VM has written to. */
export async function removeLayers(layers: VmLayers): Promise<void> {
  for (const path of Object.values(layers)) await rm(path, { force: true });
}

function layersFile(prefix: Prefix, snapshot: string): string {
  return join(prefix.paths.snapshots, snapshot, 'layers.json');
}
