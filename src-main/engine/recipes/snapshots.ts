import { EngineError } from '../../../src-shared/errors.ts';
import type { TakeSnapshotInput } from '../../../src-shared/verbs.ts';
import type { Step } from '../core/operation.ts';
import { readPrefix } from '../prefix/prefix.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { deleteSnapshotOf, deleteSnapshotsOf } from '../snapshot/delete-snapshot.ts';
import { chosenSnapshots } from '../snapshot/removal-plan.ts';
import { revertTo } from '../snapshot/revert-snapshot.ts';
import { findSnapshot, recordOf } from '../snapshot/snapshot-parts.ts';
import { checkSnapshotName, takeSnapshotOf } from '../snapshot/take-snapshot.ts';
import { takeAutomatic, wantsSnapshotBefore } from './automatic-snapshot.ts';
import { openForChange } from './recover.ts';

/**
 * Takes a snapshot of the whole environment at one point in time. `snapshot.exists`, `snapshot.unsupported`, `input.invalid`,
 * `host.no-space` before anything is paused; on a later failure no part of it is left and the VMs resume.
 */
export async function takeSnapshot(
  context: RecipeContext,
  root: string,
  name: string,
  step: Step,
  { diskOnly, quiesce }: Omit<TakeSnapshotInput, 'name'> = {},
): Promise<void> {
  checkSnapshotName(name);
  if (quiesce === true && diskOnly !== true) {
    throw new EngineError('input.invalid', 'Only a snapshot of disks alone can be quiesced.', {
      hint: 'With memory there is no need to: what guests have not written yet is kept, too.',
    });
  }
  await using opened = await openForChange(context, root, 'snapshot', step);
  requireReady(opened.prefix);
  await step.step(
    `Create snapshot ${name}`,
    async (inner) => await takeSnapshotOf(context, opened.prefix, name, inner, { diskOnly, quiesce }),
  );
}

/**
 * Reverts the whole environment to a snapshot, first saving the current state as snapshot `first` if given, or by itself if the settings
 * want that. `snapshot.missing`,
 * `hypervisor.failed` (the message names the VMs that were and were not reverted).
 */
export async function revertSnapshot(
  context: RecipeContext,
  root: string,
  name: string,
  first: string | undefined,
  step: Step,
): Promise<void> {
  if (first !== undefined) checkSnapshotName(first);
  await using opened = await openForChange(context, root, 'revert', step);
  requireReady(opened.prefix);
  findSnapshot(opened.prefix, name);
  if (first !== undefined && opened.prefix.record?.pending?.kind === 'revert') {
    throw new EngineError('snapshot.unsupported', 'A revert was interrupted: the present is half of one state and half of another.', {
      hint: `Revert without keeping the present: lago revert "${name}".`,
    });
  }
  if (first !== undefined) {
    await step.step(`Create snapshot ${first}`, async (inner) => await takeSnapshotOf(context, opened.prefix, first, inner));
  }
  if (first === undefined && opened.prefix.record?.pending?.kind !== 'revert' && wantsSnapshotBefore(context, 'revert')) {
    await takeAutomatic(context, opened.prefix, 'revert', step, name);
  }
  const prefix = await readPrefix(root);
  await step.step(`Revert to snapshot ${name}`, async (inner) => await revertTo(context, prefix, findSnapshot(prefix, name), inner));
}

/** Deletes a snapshot of all VMs, or completes an interrupted deletion. `snapshot.missing`. */
export async function removeSnapshot(context: RecipeContext, root: string, name: string, step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'delete-snapshot', step);
  requireReady(opened.prefix);
  if (opened.finished === name) return;
  const snapshot = findSnapshot(opened.prefix, name);
  await step.step(`Delete snapshot ${name}`, async (inner) => await deleteSnapshotOf(context, opened.prefix, snapshot, inner));
}

/**
 * Deletes a snapshot with everything that came from it, or all snapshots that are not pinned. What was interrupted of it is finished by the
 * next verb. `snapshot.missing`.
 */
export async function pruneSnapshots(context: RecipeContext, root: string, branch: string | undefined, step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'prune-snapshots', step);
  const { prefix } = opened;
  requireReady(prefix);
  if (branch !== undefined && opened.finished === branch) return;
  const names = chosenSnapshots(prefix, branch === undefined ? { unpinned: true } : { branch });
  const snapshots = recordOf(prefix).snapshots.filter(({ name }) => names.includes(name));
  await deleteSnapshotsOf(context, prefix, snapshots, step);
}
