import { rm, stat } from 'node:fs/promises';
import { relative, resolve } from 'node:path';
import { z } from 'zod';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { diskError, readJson, writeJson } from '../../core/files/json-file.ts';
import { expandPrefixPath } from '../../prefix/layout.ts';
import { type Prefix, readSpecs } from '../../prefix/prefix.ts';
import type { SnapshotRecord } from '../../prefix/record.ts';
import { diskSpecs } from './layer-use.ts';

/**
 * What the files that snapshots froze were like then. Nobody writes to them but Lago when it merges layers, so that another size or time
 * tells of somebody else (virsh, qemu-img). A file that is not listed is not known, and no alarm.
 */

/** What is compared of a file. */
const Look = z.object({ size: z.number(), mtimeMs: z.number() });
type Look = z.infer<typeof Look>;

/** By path, relative to the prefix, so that a prefix can be moved. */
const FrozenFile = z.record(z.string(), Look);

/** By absolute path. */
export type FrozenFiles = ReadonlyMap<string, Look>;

/** What is known of frozen files. */
export async function readFrozen({ paths }: Pick<Prefix, 'paths'>): Promise<FrozenFiles> {
  const known = (await readJson(paths.frozen, FrozenFile)) ?? {};
  return new Map(Object.entries(known).map(([path, look]) => [resolve(paths.root, path), look]));
}

/** Whether somebody has written to a file since. */
export function isChanged(path: string, now: Look, frozen: FrozenFiles): boolean {
  const then = frozen.get(path);
  return then !== undefined && (then.size !== now.size || then.mtimeMs !== now.mtimeMs);
}

/** Adds the files that snapshots name and that are not known yet, as they are now, and forgets those that none names any more. */
export async function noteFrozen(prefix: Prefix): Promise<void> {
  const known = await readFrozen(prefix);
  const specs = await readSpecs(prefix.paths);
  const now = new Map<string, Look>();
  for (const path of new Set(specs.vms.flatMap((vm) => frozenPaths(prefix, vm)))) {
    const look = known.get(path) ?? (await lookAt(path));
    if (look !== undefined) now.set(path, look);
  }
  await write(prefix, known, now);
}

/** Forgets files that Lago is about to change. One that somebody else has changed is not right by that. */
export async function forgetFrozen(prefix: Prefix, paths: readonly string[]): Promise<void> {
  const known = await readFrozen(prefix);
  const about = await Promise.all(
    paths.map(async (path) => {
      const now = await lookAt(path);
      return now !== undefined && isChanged(path, now, known) ? [] : [path];
    }),
  );
  await forget(prefix, known, about.flat());
}

/** If somebody has changed a file that Lago is about to write into another one, that one is not what it was either. */
export async function inheritChange(prefix: Prefix, from: string, to: string): Promise<void> {
  const known = await readFrozen(prefix);
  const [then, now] = [known.get(from), await lookAt(from)];
  if (then !== undefined && now !== undefined && isChanged(from, now, known)) await write(prefix, known, new Map([...known, [to, then]]));
}

/** Takes the files of a snapshot to be right as they are now. */
export async function acceptFrozen(prefix: Prefix, { name }: SnapshotRecord): Promise<void> {
  await forget(
    prefix,
    await readFrozen(prefix),
    prefix.specs.vms.flatMap((vm) => frozenPaths(prefix, vm, name)),
  );
  await noteFrozen(prefix);
}

async function forget(prefix: Prefix, known: FrozenFiles, paths: readonly string[]): Promise<void> {
  await write(prefix, known, new Map([...known].filter(([path]) => !paths.includes(path))));
}

/** The files that a VM's disks were in a snapshot, or in all of them, and that nobody writes to since. */
export function frozenPaths({ paths, record }: Prefix, vm: VmSpec, snapshot?: string): readonly string[] {
  // Those of the older kind are inside the files that the VMs write to.
  if ((record?.snapshots ?? []).some(({ kind }) => kind === 'internal')) return [];
  const lists = snapshot === undefined ? Object.values(vm.snapshots) : [vm.snapshots[snapshot] ?? []];
  return diskSpecs(lists.flat())
    .filter(({ path, format, readonly }) => path !== '' && format !== 'iso' && readonly !== true)
    .map(({ path }) => expandPrefixPath(path, paths.root));
}

/** `snapshot.missing` when somebody has written to a file of the snapshot: its VMs would not find what they had. */
export async function requireUnchanged(prefix: Prefix, { name }: SnapshotRecord): Promise<void> {
  const frozen = await readFrozen(prefix);
  for (const vm of prefix.specs.vms) {
    for (const path of frozenPaths(prefix, vm, name)) {
      const now = await lookAt(path);
      if (now === undefined || !isChanged(path, now, frozen)) continue;
      throw new EngineError(
        'snapshot.missing',
        `The snapshot "${name}" is not what it was: ${path}, a disk of VM ${vm.name}, was changed by another program.`,
        {
          hint: `Nothing was done. Use another snapshot; or, if the file is right, accept it: lago snapshot --edit "${name}" --accept.`,
          details: { path },
        },
      );
    }
  }
}

async function lookAt(path: string): Promise<Look | undefined> {
  try {
    const { size, mtimeMs } = await stat(path);
    return { size, mtimeMs };
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw diskError(error, path);
  }
}

async function write({ paths }: Prefix, before: FrozenFiles, now: FrozenFiles): Promise<void> {
  const text = (files: FrozenFiles): Record<string, Look> =>
    Object.fromEntries([...files].map(([path, look]) => [relative(paths.root, path), look]));
  if (JSON.stringify(text(before)) === JSON.stringify(text(now))) return;
  try {
    await writeJson(paths.frozen, text(now));
  } catch (error) {
    if (!(error instanceof EngineError) || error.code !== 'host.no-space') throw error;
    // What it says is not right any more; without it, nothing is known.
    await rm(paths.frozen, { force: true });
  }
}
