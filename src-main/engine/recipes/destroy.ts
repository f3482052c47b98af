import { access, rm } from 'node:fs/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import { type HeldLock, takeLock } from '../core/lock.ts';
import type { Step } from '../core/operation.ts';
import { releaseLeases } from '../create/leases.ts';
import { type PrefixPaths, prefixPaths } from '../prefix/layout.ts';
import { type Prefix, readPrefix, readPrefixWithoutSpecs } from '../prefix/prefix.ts';
import { type PendingWork, writeRecord } from '../prefix/record.ts';
import { isRemovable, removePrefixFolder } from '../prefix/remains.ts';
import { stopVms } from '../runtime/bring-down.ts';
import { lockPrefix, type RecipeContext } from '../runtime/recipe.ts';
import { type RemoteFiles, remoteOf } from '../runtime/remote-files.ts';
import { removeUnfinishedExport } from './portable/unfinished-export.ts';
import { openForChange } from './recover.ts';

/** How long a deploy may take to end once its VMs are off. */
const DEPLOY_MS = 15_000;

/** Stops everything and removes the prefix's marker, so that it no longer counts as a prefix; its files stay. */
export async function cleanUpEnvironment(context: RecipeContext, root: string, step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'cleanup', step);
  const { prefix } = opened;
  await step.step('Cleanup prefix', async (clean) => {
    await clean.step('Stop prefix', async (stop) => await stopVms(context, prefix, prefix.specs.vms, stop));
    await clean.step('Tag prefix as uninitialized', async () => await rm(prefix.paths.initialized, { force: true }));
  });
}

export interface DestroyHow {
  /** After it nothing may be written into the prefix. */
  readonly beforeRemoval?: () => Promise<void>;
  /** If the other machine that it is on does not answer, only remove what is here. */
  readonly forget?: boolean | undefined;
}

/**
 * Stops everything and removes the prefix with all its files. Also works on one that is half-made, damaged, cleaned up or partly removed,
 * and stops whatever its readable files mention. `host.unusable` when it is on another machine, which does not answer.
 */
export async function destroyEnvironment(context: RecipeContext, root: string, step: Step, how: DestroyHow = {}): Promise<void> {
  const paths = prefixPaths(root);
  await requireOurs(root);
  await using _lock = await lockPrefix(paths, 'destroy', step.signal);
  const prefix = await readForRemoval(root, step);
  const remote = prefix === undefined ? undefined : remoteOf(context, prefix, step.log);
  await step.step('Destroy prefix', async (destroy) => {
    if (prefix !== undefined) {
      const stop = async (one: Step): Promise<void> => {
        await stopVms(context, prefix, prefix.specs.vms, one);
        await context.hosts.stop(prefix);
      };
      if (remote === undefined) await destroy.step('Stop prefix', stop);
      else await removeThere(prefix, remote, { stop, forget: how.forget === true }, destroy);
      await destroy.step('Release subnets', async (one) => await releaseLeases(context.settings, prefix, one.signal));
    }
    // It has lost its VMs, and must have written the last of it.
    await using _deploy = await whenNotDeploying(paths, step.signal);
    await how.beforeRemoval?.();
    await destroy.step('Remove files', async () => {
      const unfinished = prefix?.record?.pending?.folder;
      if (prefix !== undefined && unfinished !== undefined) await removeUnfinishedExport(prefix, unfinished);
      if (prefix !== undefined) await markForRemoval(prefix, step);
      await removePrefixFolder(paths);
    });
    // A call that failed or was too late may have connected once more.
    await remote?.place.machine.close();
  });
}

/** Removes what is on another machine. One that does not answer keeps it, if the environment is to be forgotten: the log says what and where. */
async function removeThere(
  prefix: Prefix,
  { place }: RemoteFiles,
  how: { readonly stop: (step: Step) => Promise<void>; readonly forget: boolean },
  step: Step,
): Promise<void> {
  const { machine } = place;
  async function unlessGone(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof EngineError) || error.details['reason'] !== 'machine') throw error;
      if (how.forget) return false;
      const wayOut = 'If that machine is gone for good, “lago destroy --forget” removes what is here.';
      const hint = error.hint === undefined ? wayOut : `${error.hint} ${wayOut}`;
      throw new EngineError(error.code, error.message, { cause: error, details: error.details, hint });
    }
  }
  const stopped = await step.step('Stop prefix', async (one) => await unlessGone(async () => await how.stop(one)));
  const remove = async (): Promise<boolean> => await unlessGone(async () => await place.remove());
  if (stopped && (await step.step(`Remove what is on ${machine.name}`, remove))) return;
  const folder = `~/.local/share/lago/remote/${prefix.uuid}`;
  step.log.warn(
    `${machine.name} does not answer: the disks of ${prefix.name}, and its VMs if they run, stay there, in ${folder} (below XDG_DATA_HOME where that is set). Only what is here is removed.`,
  );
  await machine.close();
}

/** Waits for the end of a deploy, and keeps others from beginning. Undefined where nothing was ever deployed. */
async function whenNotDeploying(paths: PrefixPaths, signal: AbortSignal): Promise<HeldLock | undefined> {
  const known = await access(paths.deployLock).then(
    () => true,
    () => false,
  );
  return known ? await takeLock(paths.deployLock, { purpose: 'destroy', signal, waitMs: DEPLOY_MS }) : undefined;
}

/** A folder that the user put beside the prefixes is not ours to remove. Also checked before the lock, which would leave a file in it. */
async function requireOurs(root: string): Promise<void> {
  if (await isRemovable(root)) return;
  throw new EngineError('prefix.missing', `${root} is not a Lago prefix, and is not removed.`, {
    hint: 'Nothing in it was made by Lago. If it is not needed, remove the folder yourself.',
  });
}

/** From here on it is no longer an environment; `destroy`, or `init` with the same name, finishes the removal. */
async function markForRemoval(prefix: Prefix, step: Step): Promise<void> {
  if (prefix.record === undefined) return;
  const pending: PendingWork = { kind: 'destroy', name: null, step: 'removing', since: Date.now(), vms: [], running: [], hostWasUp: false };
  try {
    await writeRecord(prefix.paths.record, { ...prefix.record, pending });
  } catch (error) {
    // This matters only after a kill in the next moments, and environments are often destroyed because the disk is full.
    if (!(error instanceof EngineError) || error.code !== 'host.no-space') throw error;
    step.log.warn(error.message);
  }
}

/** A prefix with damaged specs still has a uuid, which identifies its host; without a uuid it never had a host. */
async function readForRemoval(root: string, step: Step): Promise<Prefix | undefined> {
  try {
    return await readPrefix(root);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    step.log.warn(`${error.message} Removing what is left of it.`);
  }
  return await readPrefixWithoutSpecs(root);
}
