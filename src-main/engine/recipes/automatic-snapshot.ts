import { EngineError } from '../../../src-shared/errors.ts';
import type { SnapshotBefore } from '../../../src-shared/snapshot/snapshot-keep.ts';
import type { Step } from '../core/operation.ts';
import { type Prefix, readPrefix } from '../prefix/prefix.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { deleteSnapshotsOf } from '../snapshot/delete-snapshot.ts';
import { expiredSnapshots } from '../snapshot/retention.ts';
import { freeSnapshotName, recordOf } from '../snapshot/snapshot-parts.ts';
import { takeSnapshotOf } from '../snapshot/take-snapshot.ts';
import { type OpenedPrefix, openForChange } from './recover.ts';

/** Whether the settings want a snapshot before work of this kind. */
export function wantsSnapshotBefore({ settings }: RecipeContext, what: SnapshotBefore): boolean {
  return settings.snapshotBefore?.includes(what) === true;
}

/** Takes the snapshot that the settings want before such work, if they do. Takes the prefix's lock for it. */
export async function snapshotBefore(context: RecipeContext, root: string, what: SnapshotBefore, step: Step): Promise<void> {
  if (!wantsSnapshotBefore(context, what)) return;
  await using opened = await openBefore(context, root, what, step);
  requireReady(opened.prefix);
  await takeAutomatic(context, opened.prefix, what, step);
}

/** Work that needs no lock would be possible now: what keeps it from beginning is the snapshot. */
async function openBefore(context: RecipeContext, root: string, what: SnapshotBefore, step: Step): Promise<OpenedPrefix> {
  try {
    return await openForChange(context, root, 'snapshot', step);
  } catch (error) {
    if (what !== 'deploy' || !(error instanceof EngineError) || error.code !== 'conflict.locked') throw error;
    throw new EngineError(error.code, `No snapshot can be taken before the deploy, as snapshot_before wants it. ${error.message}`, {
      cause: error,
      hint: 'Deploy again when that has finished; or now, without a snapshot: lago --snapshot-before "" deploy.',
    });
  }
}

/**
 * Takes a snapshot of a prefix opened for change that nobody asked for, before work of this kind, and deletes automatic ones that are not to
 * be kept any more; `needed` is not one of these.
 */
export async function takeAutomatic(
  context: RecipeContext,
  prefix: Prefix,
  what: SnapshotBefore,
  step: Step,
  needed?: string,
): Promise<void> {
  const kind = what === 'vm' ? 'change' : what;
  // Sweden writes dates as ISO 8601 does. Names have no colons.
  const time = new Date().toLocaleString('sv-SE').replaceAll(':', '.');
  const name = freeSnapshotName(recordOf(prefix), `before ${kind} ${time}`);
  await step.step(`Create snapshot ${name}`, async (one) => await takeSnapshotOf(context, prefix, name, one, { automatic: true }));
  const now = await readPrefix(prefix.paths.root);
  const record = recordOf(now);
  const keep = record.snapshotKeep ?? context.settings.snapshotKeep ?? {};
  const expired = expiredSnapshots(record.snapshots, keep, Date.now()).filter((one) => one.name !== needed);
  if (expired.length === 0) return;
  await step.step('Delete automatic snapshots that are not kept any more', async (one) => {
    one.log.info(`Not kept any more: ${expired.map((old) => old.name).join(', ')}`);
    await deleteSnapshotsOf(context, now, expired, one);
  });
}
