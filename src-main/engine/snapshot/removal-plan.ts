import { stat } from 'node:fs/promises';
import type { RemovalChoice, RemovalPlan } from '../../../src-shared/snapshot/snapshot-plans.ts';
import { chosenForRemoval } from '../../../src-shared/snapshot/snapshot-tree.ts';
import type { Prefix } from '../prefix/prefix.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { foresee } from './layers/foresee.ts';
import { diskTops, layerFiles, namedFiles } from './layers/layer-use.ts';
import type { LayerFile } from './layers/unneeded.ts';
import { keptMemory } from './memory/kept-memory.ts';
import { findSnapshot, recordOf } from './snapshot-parts.ts';

/** The snapshots that a choice means. `snapshot.missing` when it names one that is not there. */
export function chosenSnapshots(prefix: Prefix, what: RemovalChoice): readonly string[] {
  if ('name' in what) findSnapshot(prefix, what.name);
  if ('branch' in what) findSnapshot(prefix, what.branch);
  return chosenForRemoval(recordOf(prefix).snapshots, what);
}

/**
 * What deleting snapshots would do. Changes nothing. An internal snapshot gives nothing back: its space inside the disks' files is used
 * again. `snapshot.missing`.
 */
export async function planRemoval(
  context: RecipeContext,
  prefix: Prefix,
  what: RemovalChoice,
  signal: AbortSignal = new AbortController().signal,
): Promise<RemovalPlan> {
  const snapshots = chosenSnapshots(prefix, what);
  const layered = recordOf(prefix).snapshots.filter(({ name, kind }) => kind === 'layers' && snapshots.includes(name));
  if (layered.length === 0) return { snapshots: [...snapshots], bytes: 0, merges: [] };
  const tops = await diskTops(await context.hosts.find(prefix, signal), prefix, signal);
  const files = await layerFiles(prefix, tops);
  const named = namedFiles(without(prefix, snapshots));
  const { deleted, merged } = foresee(files, { named, running: new Set(tops.keys()) });
  const memory = layered.flatMap(({ name, vms }) => Object.keys(vms).map((vm) => keptMemory(prefix, name, vm)));
  const bytes = await Promise.all([...deleted.map(({ path }) => path), ...memory].map(givenBack));
  const merges = prefix.specs.vms.flatMap((vm) => {
    const own = filesOf(files, namedFiles({ ...prefix, specs: { ...prefix.specs, vms: [vm] } }));
    const layers = merged.filter(({ path }) => own.has(path)).length;
    return layers === 0 ? [] : [{ vm: vm.name, layers }];
  });
  return { snapshots: [...snapshots], bytes: bytes.reduce((sum, one) => sum + one, 0), merges };
}

/** The prefix as though these snapshots had been forgotten. */
function without(prefix: Prefix, names: readonly string[]): Prefix {
  const vms = prefix.specs.vms.map((vm) => ({
    ...vm,
    snapshots: Object.fromEntries(Object.entries(vm.snapshots).filter(([name]) => !names.includes(name))),
  }));
  return { ...prefix, specs: { ...prefix.specs, vms } };
}

/** These files and everything below them. */
function filesOf(files: readonly LayerFile[], tops: ReadonlySet<string>): ReadonlySet<string> {
  const below = new Map(files.map((file) => [file.path, file.below]));
  const found = new Set(tops);
  for (const path of found) {
    const next = below.get(path);
    if (next !== undefined) found.add(next);
  }
  return found;
}

/** Bytes that the disk gets back when this link to a file is removed. */
async function givenBack(path: string): Promise<number> {
  const info = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  return info === undefined || info.nlink > 1 ? 0 : info.blocks * 512;
}
