import type { Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { SnapshotState } from '../../../../src-shared/snapshot/timeline.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { type FrozenFiles, frozenPaths, isChanged, readFrozen } from '../../snapshot/layers/frozen-files.ts';
import { keptDomain, keptMemory } from '../../snapshot/memory/kept-memory.ts';

/** What is known of a file; undefined when there is none. Each is looked at once. */
type Look = (path: string) => Promise<Stats | undefined>;

/** The points of an environment's timeline, in the order in which they were taken. Looks at the files of each, and opens none. */
export async function snapshotStates(prefix: Prefix): Promise<SnapshotState[]> {
  const { record } = prefix;
  // What a fork of the present needs for a moment is not a point of the timeline.
  const pending = record?.pending;
  const points = (record?.snapshots ?? []).filter(({ name }) => pending?.kind !== 'fork' || name !== pending.name);
  // The files of one that is being deleted or renamed are neither here nor there.
  const inWork = new Set(pending === null || pending === undefined ? [] : [pending.name, ...(pending.also ?? [])]);
  const look = lookOnce();
  const frozen = await readFrozen(prefix);
  return await Promise.all(
    points.map(async (snapshot) => ({
      ...snapshot,
      ...(snapshot.kind === 'internal' || inWork.has(snapshot.name) ? NOTHING : await filesOf(prefix, snapshot, { look, frozen })),
      current: snapshot.name === record?.current,
      note: snapshot.note ?? '',
      tags: snapshot.tags ?? [],
      pinned: snapshot.pinned ?? false,
      automatic: snapshot.automatic ?? false,
      measured: snapshot.measured ?? null,
    })),
  );
}

type Files = Pick<SnapshotState, 'missing' | 'changed' | 'sizes'>;
const NOTHING: Files = { missing: [], sizes: {} };

/** How files are looked at, and what is known of those that must not change. */
interface Looking {
  readonly look: Look;
  readonly frozen: FrozenFiles;
}

async function filesOf(prefix: Prefix, { name, parent, vms }: SnapshotRecord, looking: Looking): Promise<Files> {
  const found = await Promise.all(
    prefix.specs.vms.map(async (vm): Promise<readonly [string, Found] | undefined> => {
      const kept = vms[vm.name];
      return kept === undefined ? undefined : [vm.name, await filesOfVm(prefix, vm, { name, parent, kept }, looking)];
    }),
  );
  const known = found.filter((one) => one !== undefined);
  return {
    missing: known.flatMap(([vm, { missing }]) => (missing ? [vm] : [])),
    ...(known.some(([, { changed }]) => changed) ? { changed: known.flatMap(([vm, { changed }]) => (changed ? [vm] : [])) } : {}),
    sizes: Object.fromEntries(known.map(([vm, { disk, memory }]) => [vm, { disk, memory }])),
  };
}

interface Found {
  readonly missing: boolean;
  readonly changed: boolean;
  readonly disk: number;
  readonly memory: number;
}

async function filesOfVm(
  prefix: Prefix,
  vm: VmSpec,
  point: { readonly name: string; readonly parent: string | null; readonly kept: 'memory' | 'disk' },
  { look, frozen }: Looking,
): Promise<Found> {
  const disks = diskFiles(prefix, vm, point.name);
  const before = new Set(point.parent === null ? [] : (diskFiles(prefix, vm, point.parent) ?? []));
  const memory = point.kept === 'memory' ? [keptMemory(prefix, point.name, vm.name), keptDomain(prefix, point.name, vm.name)] : [];
  const all = await Promise.all([...(disks ?? []), ...memory].map(look));
  const bytes = await Promise.all((disks ?? []).filter((path) => !before.has(path)).map(look));
  const kept = await Promise.all(frozenPaths(prefix, vm, point.name).map(async (path) => [path, await look(path)] as const));
  return {
    missing: disks === undefined || all.includes(undefined),
    changed: kept.some(([path, file]) => file !== undefined && isChanged(path, file, frozen)),
    disk: bytes.reduce((sum, file) => sum + allocated(file), 0),
    memory: allocated(memory[0] === undefined ? undefined : await look(memory[0])),
  };
}

/** The files that a VM's disks were when a snapshot was taken; undefined when the definition does not know of it. */
function diskFiles(prefix: Prefix, vm: VmSpec, snapshot: string): readonly string[] | undefined {
  return vm.snapshots[snapshot]?.flatMap(({ path }) =>
    typeof path === 'string' && path !== '' ? [expandPrefixPath(path, prefix.paths.root)] : [],
  );
}

/** Bytes on the disk: holes do not count. */
function allocated(file: Stats | undefined): number {
  return (file?.blocks ?? 0) * 512;
}

function lookOnce(): Look {
  const seen = new Map<string, Promise<Stats | undefined>>();
  return async (path) => {
    const found = seen.get(path) ?? statIfThere(path);
    seen.set(path, found);
    return await found;
  };
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}
