import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { sweepAddedImages } from '../prefix/added-images.ts';
import { beginWork } from '../prefix/journal.ts';
import type { Prefix } from '../prefix/prefix.ts';
import type { PrefixRecord, SnapshotRecord } from '../prefix/record.ts';
import { activeVms, PARALLEL } from '../runtime/bring-down.ts';
import { openSession } from '../runtime/bring-up.ts';
import { realizeDomain, undefineDomain } from '../runtime/realize.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { collectLayers } from './layers/collect.ts';
import { deleteFromVm, forgetFiles, keepXml, recordOf } from './snapshot-parts.ts';

/**
 * Deletes a snapshot of all VMs in a prefix opened for change; its children then depend on its parent. Cannot be undone once it is deleted
 * from the first VM: a failed or cancelled deletion stays pending, and can be continued as often as needed.
 */
export async function deleteSnapshotOf(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step): Promise<void> {
  const { name } = snapshot;
  if (snapshot.kind === 'layers') {
    await deleteLayered(context, prefix, snapshot, step);
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

/** The layers that only this snapshot needed are merged; until that is done, the deletion is pending. */
async function deleteLayered(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step): Promise<void> {
  const { name } = snapshot;
  const vms = Object.keys(snapshot.vms);
  const journal = await beginWork(
    prefix,
    { kind: 'delete-snapshot', name, step: 'deleting', vms, running: [], hostWasUp: true },
    { log: step.log },
  );
  await step.step('Forget its files', async () => await forgetFiles(prefix, name));
  await step.step('Merge layers', async (one) => await collectLayers(context, prefix, { log: one.log, signal: one.signal }));
  await step.step('Forget the snapshot', async () => {
    await sweepAddedImages(prefix);
    await journal.settle((record) => without(record, snapshot));
  });
}

function without(record: PrefixRecord, snapshot: SnapshotRecord): PrefixRecord {
  return {
    ...record,
    snapshots: record.snapshots
      .filter((candidate) => candidate.name !== snapshot.name)
      .map((candidate) => (candidate.parent === snapshot.name ? { ...candidate, parent: snapshot.parent } : candidate)),
    current: record.current === snapshot.name ? snapshot.parent : record.current,
  };
}
