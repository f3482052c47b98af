import { stat } from 'node:fs/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { DiskSpec, type VmSpec } from '../../../../src-shared/specs.ts';
import { fileBelow, isEmptyLayer } from '../../disk/layers.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { findSnapshot } from '../../snapshot/snapshot-parts.ts';
import type { PointDisk } from './guest-files.ts';

/** The disks of a VM at a snapshot, or at present. */
export interface Point {
  /** Null for the present. */
  readonly snapshot: string | null;
  /** When the snapshot was taken, ms since the epoch; null for the present. */
  readonly takenAt: number | null;
  /** Of a snapshot: whether the VM ran then, so that its memory may have what its disks do not have yet. */
  readonly live: boolean;
  /** Those that the VM writes to. */
  readonly disks: readonly PointDisk[];
}

/**
 * A VM at a point. `snapshot.missing` when the environment or the VM does not have this snapshot, `snapshot.unsupported` when its disks
 * cannot be read.
 */
export function pointOf(prefix: Prefix, vm: VmSpec, snapshot: string | null): Point {
  if (snapshot === null) return { snapshot, takenAt: null, live: false, disks: disksOf(prefix, vm.disks) };
  const record = findSnapshot(prefix, snapshot);
  if (record.kind === 'internal') {
    throw new EngineError(
      'snapshot.unsupported',
      `What changed since “${snapshot}” cannot be read: that snapshot is inside the disks’ files.`,
      {
        hint: 'It is of the older kind. Snapshots that are taken once no such one is left can be compared (docs/snapshots.md).',
      },
    );
  }
  const listed = vm.snapshots[snapshot];
  if (listed === undefined) {
    throw new EngineError('snapshot.missing', `VM ${vm.name} is not in snapshot “${snapshot}”.`, {
      hint: 'Compare another VM, or take a snapshot now.',
    });
  }
  return {
    snapshot,
    takenAt: record.createdAt,
    live: record.vms[vm.name] === 'memory',
    disks: disksOf(
      prefix,
      listed.map((disk) => DiskSpec.parse(disk)),
    ),
  };
}

function disksOf(prefix: Prefix, disks: readonly DiskSpec[]): readonly PointDisk[] {
  return disks
    .filter(({ format, readonly, path }) => format !== 'iso' && readonly !== true && path !== '')
    .map(({ dev, path, format }) => ({ dev, format, path: expandPrefixPath(path, prefix.paths.root) }));
}

/** `snapshot.missing`, or `input.missing-file` for the present, when a file of a point is not there any more. */
export async function requireFiles(vm: VmSpec, { snapshot, disks }: Point): Promise<void> {
  for (const { dev, path } of disks) {
    try {
      await stat(path);
    } catch (error) {
      const at = snapshot === null ? '' : ` at “${snapshot}”`;
      throw new EngineError(
        snapshot === null ? 'input.missing-file' : 'snapshot.missing',
        `Disk ${dev} of ${vm.name}${at} is not there: ${path}.`,
        {
          cause: error,
        },
      );
    }
  }
}

/** Whether two points show the same without a look into the disks: nothing was written to the layers in which they differ. */
export async function isSameContent(one: Point, other: Point, signal: AbortSignal): Promise<boolean> {
  if (one.disks.length !== other.disks.length) return false;
  for (const disk of one.disks) {
    const counterpart = other.disks.find(({ dev }) => dev === disk.dev);
    if (counterpart === undefined || !(await isSameDisk(disk, counterpart, signal))) return false;
  }
  return true;
}

async function isSameDisk(one: PointDisk, other: PointDisk, signal: AbortSignal): Promise<boolean> {
  const [chain, otherChain] = await Promise.all([filesOf(one), filesOf(other)]);
  const common = chain.find((path) => otherChain.includes(path));
  if (common === undefined) return false;
  const above = [...chain.slice(0, chain.indexOf(common)), ...otherChain.slice(0, otherChain.indexOf(common))];
  for (const path of above) if (!(await isEmptyLayer(path, { signal }))) return false;
  return true;
}

/** The files of a disk from the top down. */
async function filesOf(disk: PointDisk): Promise<readonly string[]> {
  const files = [disk.path];
  let at: { readonly path: string; readonly format: string } | undefined = disk;
  while (at?.format === 'qcow2') {
    at = await fileBelow(at.path);
    if (at === undefined || files.includes(at.path)) break;
    files.push(at.path);
  }
  return files;
}

/** Changes whenever a VM that is off now was on meanwhile, or its disks are others. */
export async function diskStamp(point: Point): Promise<string> {
  const stamps = await Promise.all(
    point.disks.map(async ({ path }) => {
      const { ino, size, mtimeMs } = await stat(path);
      return [path, ino, size, mtimeMs].join(' ');
    }),
  );
  return stamps.join('\n');
}
