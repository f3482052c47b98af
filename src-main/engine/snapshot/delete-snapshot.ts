import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { beginWork } from '../prefix/journal.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import type { PrefixRecord, SnapshotRecord } from '../prefix/record.ts';
import { activeVms, PARALLEL } from '../runtime/bring-down.ts';
import { openSession } from '../runtime/bring-up.ts';
import { realizeDomain, undefineDomain } from '../runtime/realize.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { sweepAddedImages } from './added-images.ts';
import { collectLayers } from './layers/collect.ts';
import { deleteFromVm, findSnapshot, forgetFiles, keepXml, recordOf } from './snapshot-parts.ts';

/**
 * Deletes a snapshot of all VMs in a prefix opened for change; its children then depend on its parent. Cannot be undone once it is deleted
 * from the first VM: a failed or cancelled deletion stays pending, and can be continued as often as needed.
 */
export async function deleteSnapshotOf(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step): Promise<void> {
  const { name } = snapshot;
  if (snapshot.kind === 'layers') {
    await deleteLayered(context, prefix, [snapshot], step);
    return;
  }
  const vms = prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] !== undefined);
  const found = await context.hosts.find(prefix, step.signal);
  const hostWasUp = prefix.record?.pending?.hostWasUp ?? found !== undefined;
  const names = vms.map((vm) => vm.name);
  const journal = await beginWork(
    prefix,
    { kind: 'delete-snapshot', name, step: 'deleting', vms: names, running: [], hostWasUp },
    { log: step.log },
  );
  try {
    await using undo = new UndoStack(step.log);
    const session = await openSession(context, prefix, step, undo);
    const active = await activeVms(session, prefix, step.signal);
    await step.each(
      vms,
      PARALLEL,
      (vm) => `Delete from VM ${vm.name}`,
      async (vm, one) => {
        if (!active.includes(vm)) await realizeDomain(session, prefix, vm, one.signal, undo);
        await deleteFromVm(session, prefix, vm, name, one.signal);
        // Its children now have a different parent: update their saved descriptions.
        for (const other of recordOf(prefix).snapshots) {
          if (other.name !== name && other.vms[vm.name] !== undefined) await keepXml(session, prefix, vm, other.name, one.signal);
        }
        if (!active.includes(vm)) await undefineDomain(session, prefix, vm, one.signal);
      },
    );
    undo.commit();
    await step.step('Forget its files', async () => {
      await forgetFiles(prefix, name);
      // Nothing but this snapshot may have needed the image of a disk that was added and is gone.
      await sweepAddedImages(prefix);
    });
    if (!hostWasUp && active.length === 0) await context.hosts.stop(prefix);
  } catch (error) {
    if (isCancelled(error) || !(error instanceof EngineError)) throw error;
    throw new EngineError(error.code, error.message, {
      cause: error,
      details: error.details,
      hint: `Some VMs may have lost it already: delete it again (lago snapshot --delete "${name}").`,
    });
  }
  await step.step('Forget the snapshot', async () => await journal.settle((record) => without(record, snapshot)));
}

/**
 * Deletes several snapshots of a prefix opened for change. Those of layers are forgotten together, so that each layer is merged at most
 * once; a deletion that was interrupted stays pending.
 */
export async function deleteSnapshotsOf(
  context: RecipeContext,
  prefix: Prefix,
  snapshots: readonly SnapshotRecord[],
  step: Step,
): Promise<void> {
  const layered = snapshots.filter(({ kind }) => kind === 'layers');
  if (layered.length > 0) await deleteLayered(context, prefix, layered, step);
  for (const snapshot of snapshots) {
    if (snapshot.kind === 'layers') continue;
    const now = await readPrefix(prefix.paths.root);
    await step.step(`Delete snapshot ${snapshot.name}`, async (one) => {
      await deleteSnapshotOf(context, now, findSnapshot(now, snapshot.name), one);
    });
  }
}

/** The layers that only these snapshots needed are merged; until that is done, the deletion is pending. */
async function deleteLayered(context: RecipeContext, prefix: Prefix, snapshots: readonly SnapshotRecord[], step: Step): Promise<void> {
  const [name = '', ...also] = snapshots.map((snapshot) => snapshot.name);
  const vms = [...new Set(snapshots.flatMap((snapshot) => Object.keys(snapshot.vms)))];
  const journal = await beginWork(
    prefix,
    { kind: 'delete-snapshot', name, also, step: 'deleting', vms, running: [], hostWasUp: true },
    { log: step.log },
  );
  await step.step(also.length === 0 ? 'Forget its files' : 'Forget their files', async () => {
    for (const one of snapshots) await forgetFiles(prefix, one.name);
  });
  await step.step('Merge layers', async (one) => await collectLayers(context, prefix, { log: one.log, signal: one.signal }));
  await step.step(also.length === 0 ? 'Forget the snapshot' : 'Forget the snapshots', async () => {
    await sweepAddedImages(prefix);
    await journal.settle((record) => snapshots.reduce(without, record));
  });
}

function without(record: PrefixRecord, { name }: SnapshotRecord): PrefixRecord {
  // As it is by then: a snapshot between may be gone already.
  const parent = record.snapshots.find((candidate) => candidate.name === name)?.parent ?? null;
  return {
    ...record,
    snapshots: record.snapshots
      .filter((candidate) => candidate.name !== name)
      .map((candidate) => (candidate.parent === name ? { ...candidate, parent } : candidate)),
    current: record.current === name ? parent : record.current,
  };
}
