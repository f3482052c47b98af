import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import { DiskSpec, type VmSpec } from '../../../../src-shared/specs.ts';
import { diskStem, type FileBelow, fileBelow, isLayer } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../../runtime/session.ts';
import { runningDiskFiles } from './running-disks.ts';
import type { LayerFile } from './unneeded.ts';

/** A disk of a running VM. */
export interface Disk {
  readonly vm: VmSpec;
  readonly dev: string;
  readonly format: string;
}

/** What running VMs write to, and of which disk it is. */
export async function diskTops(session: HostSession | undefined, prefix: Prefix, signal: AbortSignal): Promise<ReadonlyMap<string, Disk>> {
  const tops = new Map<string, Disk>();
  for (const vm of prefix.specs.vms) {
    for (const [dev, { path, format }] of (await runningDiskFiles(session, prefix, vm, signal)) ?? []) tops.set(path, { vm, dev, format });
  }
  return tops;
}

/** The files that definitions and snapshots name. */
export function namedFiles(prefix: Prefix): ReadonlySet<string> {
  return new Set(namedDisks(prefix).map(({ path }) => path));
}

/**
 * All layers, and the files that these disks began with, if they are the environment's own; and whatever else is in the chain of a disk that
 * is named or in use: somebody may have put it on one of them.
 */
export async function layerFiles(prefix: Prefix, tops: ReadonlyMap<string, Pick<Disk, 'format'>>): Promise<readonly LayerFile[]> {
  const all = [...(await filesIn(prefix.paths.images)), ...(await filesIn(prefix.paths.addedImages))];
  const layered = new Set(all.filter(isLayer).map(diskStem));
  const below = await chainsOf(prefix, tops, new Set(all.filter(isLayer)));
  const own = new Set(all.filter((path) => layered.has(diskStem(path)) || below.has(path)));
  const named = namedFiles(prefix);
  const ours = [...own].map(async (path) => ({
    path,
    below: below.has(path) ? below.get(path) : await fileBelowIfQcow2(path, named),
    shared: (await stat(path)).nlink > 1,
  }));
  const others = [...below].filter(([path]) => !own.has(path)).map(([path, next]) => ({ path, below: next, shared: true, foreign: true }));
  return [...(await Promise.all(ours)), ...others];
}

/** What is below each file of the chains of disks that are named or in use. */
async function chainsOf(
  prefix: Prefix,
  tops: ReadonlyMap<string, Pick<Disk, 'format'>>,
  layers: ReadonlySet<string>,
): Promise<ReadonlyMap<string, string | undefined>> {
  const starts = [...namedDisks(prefix), ...[...tops].map(([path, { format }]) => ({ path, format }))];
  const below = new Map<string, string | undefined>();
  for (const start of starts) {
    for (let at: { path: string; format: string } | undefined = start; at !== undefined && !below.has(at.path); ) {
      const next: FileBelow | undefined = at.format === 'qcow2' ? await belowIfThere(at.path, layers) : undefined;
      below.set(at.path, next?.path);
      at = next;
    }
  }
  return below;
}

/** Of a file that is no layer and is not there, or is not what it should be, nothing is known. */
async function belowIfThere(path: string, layers: ReadonlySet<string>): Promise<FileBelow | undefined> {
  try {
    return await fileBelow(path);
  } catch (error) {
    const unknown = error instanceof EngineError && (error.code === 'input.invalid' || error.code === 'input.missing-file');
    if (!unknown || layers.has(path)) throw error;
    return undefined;
  }
}

async function filesIn(folder: string): Promise<readonly string[]> {
  if (!existsSync(folder)) return [];
  const entries = await readdir(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map(({ name }) => join(folder, name));
}

/** Layers are qcow2; the file that a disk began with may be raw. */
export function formatOf(path: string): 'qcow2' | 'raw' {
  return path.endsWith('.qcow2') ? 'qcow2' : 'raw';
}

/** The lowest file may be raw, and then has nothing below it; nor has a layer that was killed while it was created, which nobody names. */
async function fileBelowIfQcow2(path: string, named: ReadonlySet<string>): Promise<string | undefined> {
  if (formatOf(path) === 'raw') return undefined;
  try {
    return (await fileBelow(path))?.path;
  } catch (error) {
    if (named.has(path) || !(error instanceof EngineError) || error.code !== 'input.invalid') throw error;
    return undefined;
  }
}

/** The disks that definitions and snapshots name, with absolute paths. */
function namedDisks(prefix: Prefix): readonly DiskSpec[] {
  return prefix.specs.vms
    .flatMap((vm) => [...vm.disks, ...diskSpecs(Object.values(vm.snapshots).flat())])
    .flatMap((disk) => (disk.path === '' ? [] : [{ ...disk, path: expandPrefixPath(disk.path, prefix.paths.root) }]));
}

/** The disks in a list that a snapshot has kept; whatever else an older version wrote into it is left out. */
export function diskSpecs(kept: readonly unknown[]): readonly DiskSpec[] {
  return kept.flatMap((one) => DiskSpec.safeParse(one).data ?? []);
}
