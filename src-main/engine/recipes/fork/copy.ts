import { randomUUID } from 'node:crypto';
import { copyFile, cp, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { DiskSpec, type VmSpec } from '../../../../src-shared/specs.ts';
import type { Log } from '../../core/log.ts';
import type { Step } from '../../core/operation.ts';
import type { UndoStack } from '../../core/undo.ts';
import { claimName, LockPlace, openWorkdir } from '../../create/claim.ts';
import { settlePending } from '../../prefix/journal.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { domainName, type Prefix, readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { type PrefixRecord, type SnapshotRecord, writeRecord } from '../../prefix/record.ts';
import type { Workdir } from '../../prefix/workdir.ts';
import { openSession, startNetworks } from '../../runtime/bring-up.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import type { HostSession } from '../../runtime/session.ts';
import { prepareLayers, restoreVm } from '../../snapshot/layers/revert.ts';
import { tellRestored } from '../../snapshot/memory/tell-restored.ts';
import { forgetFiles, keptHostKeys, resume } from '../../snapshot/snapshot-parts.ts';
import { linkDisks, linkFolder } from './link-files.ts';

/** Locks of the environments that are being made, released after everything else. */
export interface Locks {
  readonly held: LockPlace[];
}

/** A fork that is being made. */
export interface Copy {
  readonly target: string;
  readonly uuid: string;
  readonly workdir: Workdir;
  readonly record: PrefixRecord;
  /** Its host; undefined when no VM of it will run. */
  readonly session: HostSession | undefined;
}

/** Files beside the folders of a prefix that a fork has too, if they are there. */
export const PREFIX_FILES = ['id_rsa', 'id_rsa.pub', 'id_ed25519', 'id_ed25519.pub', 'metadata'];
/** Once the VMs are back, nothing is cancelled any more. */
const FINISH_MS = 60_000;

/** Makes a fork's folder with everything but disks, and brings up its host and networks if VMs of it will run. */
export async function beginCopy(
  context: RecipeContext,
  source: Prefix,
  { target, forkedFrom, running }: { readonly target: string; readonly forkedFrom: PrefixRecord['forkedFrom']; readonly running: boolean },
  { locks, undo }: { readonly locks: Locks; readonly undo: UndoStack },
  step: Step,
): Promise<Copy> {
  const from = source.paths;
  const paths = prefixPaths(target);
  const uuid = randomUUID().replaceAll('-', '');
  const lock = new LockPlace();
  locks.held.push(lock);
  const record: PrefixRecord = {
    ...(source.record as PrefixRecord),
    version: 3,
    phase: 'creating',
    createdAt: Date.now(),
    snapshots: [],
    current: null,
    pending: null,
    forkedFrom,
  };
  const workdir = await openWorkdir(dirname(target), basename(target), undo);
  await claimName(context, workdir, paths, record, { lock, undo }, step);
  await writeFile(paths.uuid, uuid);
  for (const folder of [from.seeds, from.ova, from.addedImages]) await linkFolder(folder, join(target, folder.slice(from.root.length + 1)));
  await cp(from.scripts, paths.scripts, { recursive: true });
  for (const name of PREFIX_FILES) {
    await copyFile(join(from.root, name), join(target, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await writeSpecs(paths, source.specs);
  if (!running) return { target, uuid, workdir, record, session: undefined };
  const prefix = await readPrefix(target);
  const session = await openSession(context, prefix, step, undo);
  await startNetworks(session, prefix, prefix.specs.nets, step, undo);
  return { target, uuid, workdir, record, session };
}

/** Gives a fork the disks and memory of a snapshot, by links, and new layers on these disks. */
export async function fillCopy(source: Prefix, snapshot: SnapshotRecord, copy: Copy, step: Step): Promise<void> {
  const paths = prefixPaths(copy.target);
  const vms = source.specs.vms.map((vm): VmSpec => {
    const disks = z.array(DiskSpec).parse(vm.snapshots[snapshot.name] ?? vm.disks);
    return { ...vm, disks, snapshots: { [snapshot.name]: disks } };
  });
  await linkDisks(source, vms, copy.target, step.signal);
  await linkFolder(join(source.paths.snapshots, snapshot.name), join(paths.snapshots, snapshot.name));
  await copyFile(keptHostKeys(source, snapshot.name), paths.hostKeys);
  const specs = { ...source.specs, vms };
  const prefix: Prefix = { ...source, paths, uuid: copy.uuid, name: basename(copy.target), specs, record: copy.record };
  const layered = await prepareLayers(prefix, snapshot, vms, step);
  await writeSpecs(paths, { ...specs, vms: vms.map((vm) => layered.get(vm.name) ?? vm) });
}

/** Brings the VMs back, which stand still then. */
export async function restoreCopy({ target, session }: Copy, snapshot: SnapshotRecord, step: Step): Promise<void> {
  if (session === undefined) return;
  const prefix = await readPrefix(target);
  const vms = withMemory(prefix, snapshot);
  await step.each(
    vms,
    vms.length,
    (vm) => `Restore VM ${vm.name}`,
    async (vm, one) => await restoreVm(session, prefix, snapshot, vm, one),
  );
}

/** Makes the fork an environment like any other, and lets its VMs go on together. `keep`: the snapshot is one of its own, too. */
export async function letGo(copy: Copy, snapshot: SnapshotRecord, { keep }: { readonly keep: boolean }, step: Step): Promise<void> {
  const { target, session, record } = copy;
  const paths = prefixPaths(target);
  // Its memory is in the VMs now.
  if (!keep) await forgetFiles(await readPrefix(target), snapshot.name);
  const prefix = { ...(await readPrefix(target)), record };
  const vms = session === undefined ? [] : withMemory(prefix, snapshot);
  const names = vms.map((vm) => vm.name);
  await writeFile(paths.initialized, '');
  // Whatever happens from here on, the next verb lets the VMs go on.
  await writeRecord(paths.record, {
    ...record,
    phase: 'ready',
    snapshots: keep ? [{ ...snapshot, parent: null }] : [],
    current: keep ? snapshot.name : null,
    pending: { kind: 'start', name: null, step: 'going on', since: Date.now(), vms: names, running: [], hostWasUp: true },
  });
  await step.step(`Let ${basename(target)} go on`, async (one) => {
    const signal = AbortSignal.timeout(FINISH_MS);
    if (session !== undefined) await resume(session, prefix, vms, signal);
    await settlePending(prefix, undefined, one.log);
    await copy.workdir.added(basename(target), false);
  });
}

/** Tells the guests of a fork that runs what has changed for them: the time, and that they are not alone in drawing their random numbers. */
export async function tellGuests({ target, session }: Copy, snapshot: SnapshotRecord, log: Log): Promise<void> {
  if (session === undefined) return;
  const prefix = await readPrefix(target);
  const signal = AbortSignal.timeout(FINISH_MS);
  await Promise.all(
    withMemory(prefix, snapshot).map(
      async (vm) => await tellRestored(session, domainName(prefix.uuid, vm.name), { seed: true }, log, signal),
    ),
  );
}

function withMemory(prefix: Prefix, snapshot: SnapshotRecord): readonly VmSpec[] {
  return prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] === 'memory');
}
