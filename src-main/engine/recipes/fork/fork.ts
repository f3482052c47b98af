import { randomUUID } from 'node:crypto';
import { copyFile, cp, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { EnvironmentSpecs, VmSpec } from '../../../../src-shared/specs.ts';
import type { Step } from '../../core/operation.ts';
import { UndoStack } from '../../core/undo.ts';
import { claimName, LockPlace, openWorkdir } from '../../create/claim.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { domainName, type Prefix, readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { type PrefixRecord, type SnapshotRecord, writeRecord } from '../../prefix/record.ts';
import { newPrefixName } from '../../prefix/workdir.ts';
import { openSession, startNetworks } from '../../runtime/bring-up.ts';
import { tellTime } from '../../runtime/guest-time.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { prepareLayers, restoreVm } from '../../snapshot/layers/revert.ts';
import { findSnapshot, keptHostKeys, recordOf, resume } from '../../snapshot/snapshot-parts.ts';
import { checkSnapshotName, takeSnapshotOf } from '../../snapshot/take-snapshot.ts';
import { openForChange } from '../recover.ts';
import type { ForkRequest } from './fork-request.ts';
import { linkDisks, linkFolder } from './link-files.ts';

/**
 * Makes a second environment that goes on from a snapshot of the first, or from its present: with the processes, memory and addresses of
 * its VMs, on a host of its own, beside the first. Disks are shared by layers: nothing is copied. Returns the new prefix's path.
 * `prefix.exists`, `snapshot.missing`, `not-available` where environments share a host or the disks are on another machine.
 */
export async function forkEnvironment(
  context: RecipeContext,
  root: string,
  request: ForkRequest,
  step: Step,
  onReady: (root: string) => Promise<void>,
): Promise<string> {
  checkSnapshotName(request.name);
  const target = join(dirname(root), newPrefixName(request.name));
  await using lock = new LockPlace();
  await using undo = new UndoStack(step.log);
  const uuid = randomUUID().replaceAll('-', '');
  const made = await step.step('Freeze disks', async (one) => {
    // Held until its files are linked: afterwards they are the new prefix's own.
    await using opened = await openForChange(context, root, 'fork', one);
    const source = await withSnapshot(context, opened.prefix, request, one);
    return await copyPrefix(context, source, { target, uuid }, { lock, undo }, one);
  });
  await goOn(context, made.prefix, made.snapshot, step, undo);
  undo.commit();
  await made.added();
  await lock.held?.release();
  await onReady(target);
  return target;
}

interface Source {
  readonly prefix: Prefix;
  readonly snapshot: SnapshotRecord;
}

/** The prefix with the snapshot to fork, taken now if none is named. */
async function withSnapshot(context: RecipeContext, prefix: Prefix, request: ForkRequest, step: Step): Promise<Source> {
  requireReady(prefix);
  const record = recordOf(prefix);
  if (record.host.kind !== 'embedded') {
    throw new EngineError(
      'not-available',
      `${prefix.name} cannot be forked: its VMs and networks are on a host that it shares with others.`,
      {
        hint: 'Only an environment on its own host (embedded, the default) can run beside its fork with the same addresses.',
      },
    );
  }
  const name = request.snapshot ?? freeName(record, `fork ${request.name}`);
  if (request.snapshot === undefined) {
    await step.step(`Create snapshot ${name}`, async (one) => await takeSnapshotOf(context, prefix, name, one));
  }
  const now = await readPrefix(prefix.paths.root);
  const snapshot = findSnapshot(now, name);
  if (snapshot.kind !== 'layers') {
    throw new EngineError('snapshot.unsupported', `The snapshot "${name}" cannot be forked: it is inside the disks' files.`, {
      hint: 'Delete the snapshots of this kind; those that are taken afterwards can be forked.',
    });
  }
  return { prefix: now, snapshot };
}

function freeName({ snapshots }: PrefixRecord, wanted: string): string {
  const taken = new Set(snapshots.map(({ name }) => name));
  for (let number = 1; ; number++) {
    const name = number === 1 ? wanted : `${wanted} ${number}`;
    if (!taken.has(name)) return name;
  }
}

/** Everything but what runs. */
async function copyPrefix(
  context: RecipeContext,
  { prefix: source, snapshot }: Source,
  { target, uuid }: { readonly target: string; readonly uuid: string },
  { lock, undo }: { readonly lock: LockPlace; readonly undo: UndoStack },
  step: Step,
): Promise<{ readonly prefix: Prefix; readonly snapshot: SnapshotRecord; readonly added: () => Promise<void> }> {
  const from = source.paths;
  const paths = prefixPaths(target);
  const own: SnapshotRecord = { ...snapshot, parent: null };
  const record: PrefixRecord = {
    ...recordOf(source),
    version: 3,
    phase: 'creating',
    createdAt: Date.now(),
    snapshots: [own],
    current: own.name,
    pending: null,
    forkedFrom: { uuid: source.uuid, snapshot: snapshot.name },
  };
  const workdir = await openWorkdir(dirname(target), basename(target), undo);
  await claimName(context, workdir, paths, record, { lock, undo }, step);
  await writeFile(paths.uuid, uuid);
  const frozen = source.specs.vms.map((vm): VmSpec => ({ ...vm, disks: frozenDisks(vm, snapshot.name) }));
  await linkDisks(source, frozen, paths.images, step.signal);
  await linkFolder(join(from.snapshots, snapshot.name), join(paths.snapshots, snapshot.name));
  for (const folder of [from.seeds, from.ova, from.addedImages]) await linkFolder(folder, join(target, folder.slice(from.root.length + 1)));
  await cp(from.scripts, paths.scripts, { recursive: true });
  for (const name of ['id_rsa', 'id_rsa.pub', 'id_ed25519', 'id_ed25519.pub', 'metadata']) {
    await copyFile(join(from.root, name), join(target, name)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }
  await copyFile(keptHostKeys(source, snapshot.name), paths.hostKeys);
  const specs: EnvironmentSpecs = {
    ...source.specs,
    vms: frozen.map((vm) => ({ ...vm, snapshots: { [snapshot.name]: vm.disks } })),
  };
  await writeSpecs(paths, specs);
  const layered = await prepareLayers({ ...source, paths, uuid, name: basename(target), specs, record }, own, specs.vms, step);
  await writeSpecs(paths, { ...specs, vms: specs.vms.map((vm) => layered.get(vm.name) ?? vm) });
  await writeFile(paths.initialized, '');
  await writeRecord(paths.record, { ...record, phase: 'ready' });
  return { prefix: await readPrefix(target), snapshot: own, added: async () => await workdir.added(basename(target), false) };
}

function frozenDisks(vm: VmSpec, snapshot: string): VmSpec['disks'] {
  return (vm.snapshots[snapshot] ?? vm.disks) as VmSpec['disks'];
}

/** Brings up the host and networks of the new environment, and lets its VMs go on together. */
async function goOn(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step, undo: UndoStack): Promise<void> {
  const vms = prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] === 'memory');
  if (vms.length === 0) return;
  const session = await openSession(context, prefix, step, undo);
  await startNetworks(session, prefix, prefix.specs.nets, step, undo);
  await step.each(
    vms,
    vms.length,
    (vm) => `Restore VM ${vm.name}`,
    async (vm, one) => await restoreVm(session, prefix, snapshot, vm, one),
  );
  await step.step('Go on', async (one) => {
    await resume(session, prefix, vms, one.signal);
    await Promise.all(vms.map(async (vm) => await tellTime(session, domainName(prefix.uuid, vm.name), one.log, one.signal)));
  });
}
