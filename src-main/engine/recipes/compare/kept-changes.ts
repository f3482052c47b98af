import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import { Changes } from '../../../../src-shared/snapshot/changes.ts';
import { readJson, writeJson } from '../../core/files/json-file.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { Point } from './point.ts';

/** A result with what it is of: a name alone may be that of another snapshot by now. */
const KeptChanges = z.object({
  fromAt: z.number(),
  /** Null for the present. */
  toAt: z.number().nullable(),
  /** The disks' files of the present as they were read; null for two snapshots, and when the VM was running. */
  stamp: z.string().nullable(),
  changes: Changes,
});
export type KeptChanges = z.infer<typeof KeptChanges>;

/** The last result between two points of a VM, if these are still the same ones. */
export async function keptChanges(prefix: Prefix, vm: string, from: Point, to: Point): Promise<KeptChanges | undefined> {
  try {
    const kept = await readJson(fileOf(prefix, vm, from, to), KeptChanges);
    if (kept?.fromAt !== from.takenAt || kept.toAt !== to.takenAt) return undefined;
    // Snapshots may have other names by now.
    return { ...kept, changes: { ...kept.changes, from: from.snapshot ?? '', to: to.snapshot } };
  } catch (error) {
    // One of another version is as good as none.
    if (error instanceof EngineError && error.code === 'input.invalid') return undefined;
    throw error;
  }
}

/** Keeps a result in the folder of the snapshot that it begins with, with which it is removed. */
export async function keepChanges(
  prefix: Prefix,
  vm: string,
  from: Point,
  to: Point,
  stamp: string | null,
  changes: Changes,
): Promise<void> {
  const file = fileOf(prefix, vm, from, to);
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 });
  await writeJson(file, { fromAt: from.takenAt, toAt: to.takenAt, stamp, changes }, 0o600);
}

/** Names of snapshots do not contain a slash. */
function fileOf(prefix: Prefix, vm: string, from: Point, to: Point): string {
  const folder = join(prefix.paths.snapshots, from.snapshot ?? '', 'changes');
  return to.snapshot === null ? join(folder, 'present', `${vm}.json`) : join(folder, 'snapshots', to.snapshot, `${vm}.json`);
}
