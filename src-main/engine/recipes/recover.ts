import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { VerbKind } from '../../../src-shared/verbs.ts';
import type { Step } from '../core/operation.ts';
import { clearHalfMade } from '../create/claim.ts';
import { settlePending } from '../prefix/journal.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { domainName, type Prefix, readPrefix } from '../prefix/prefix.ts';
import type { PendingWork } from '../prefix/record.ts';
import { removeBegunFiles } from '../prefix/remains.ts';
import { activeVms } from '../runtime/bring-down.ts';
import { undefineDomain } from '../runtime/realize.ts';
import { lockPrefix, type RecipeContext } from '../runtime/recipe.ts';
import { deleteSnapshotsOf } from '../snapshot/delete-snapshot.ts';
import { adoptDisks } from '../snapshot/layers/adopt.ts';
import { collectLayers } from '../snapshot/layers/collect.ts';
import { LAYERING, takeBackLayers } from '../snapshot/layers/take-back.ts';
import { removeRestores } from '../snapshot/memory/restore-memory.ts';
import { renameSnapshot } from '../snapshot/rename-snapshot.ts';
import { finishReverted, REVERTED, REVERTING, revertTo } from '../snapshot/revert-snapshot.ts';
import { onceFree, resumeForSure, statusOf } from '../snapshot/snapshot-parts.ts';
import { takeBack } from '../snapshot/take-snapshot.ts';
import { finishChange } from './change-vm/finish-change.ts';
import { removeScratch } from './compare/scratch.ts';
import { removeUnfinishedExport } from './portable/unfinished-export.ts';

/** Why the lock is taken: a verb, or one of the few other operations that change a prefix. */
export type Purpose = VerbKind | 'export' | 'fork' | 'vm' | 'recover';

/** A locked prefix without pending work that could be resolved. Disposing it releases the lock. */
export interface OpenedPrefix extends AsyncDisposable {
  readonly prefix: Prefix;
  /** The snapshot whose interrupted deletion was completed while opening. */
  readonly finished: string | undefined;
}

/** A libvirt that answers does so within milliseconds. */
const TIDY_MS = 5000;

/** Verbs that must always be possible: pending work that cannot be resolved stays pending. */
const ANYHOW: ReadonlySet<Purpose> = new Set<Purpose>(['stop', 'shutdown', 'cleanup']);

/**
 * Takes a prefix's lock, then first finishes or undoes the work of a killed command. `conflict.locked`, `prefix.missing`, and the errors of
 * that work.
 */
export async function openForChange(context: RecipeContext, root: string, purpose: Purpose, step: Step): Promise<OpenedPrefix> {
  const paths = prefixPaths(root);
  const lock = await lockPrefix(paths, purpose, step.signal);
  try {
    await removeBegunFiles(paths);
    let prefix = await readPrefix(root);
    const pending = prefix.record?.pending ?? null;
    let finished: string | undefined;
    if (pending !== null && (await resolveNow(context, prefix, pending, purpose, step))) {
      if (pending.kind === 'delete-snapshot') finished = pending.name ?? undefined;
      prefix = await readPrefix(root);
    }
    if (purpose !== 'cleanup' && (await tidyUp(context, prefix, step))) prefix = await readPrefix(root);
    return { prefix, finished, [Symbol.asyncDispose]: async () => await lock.release() };
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/**
 * Removes what killed commands have left and no journal tells of, and takes over what other programs have done to running VMs. A host that
 * does not answer is left alone: the verb itself says so, or can do without. Returns whether definitions were changed.
 */
async function tidyUp(context: RecipeContext, prefix: Prefix, step: Step): Promise<boolean> {
  const signal = AbortSignal.any([step.signal, AbortSignal.timeout(TIDY_MS)]);
  const ifPossible = async (work: () => Promise<boolean>): Promise<boolean> => {
    try {
      return await work();
    } catch (error) {
      const isOfDisk = (error as NodeJS.ErrnoException).errno !== undefined;
      if (step.signal.aborted || !(error instanceof EngineError || isOfDisk || signal.aborted)) throw error;
      step.log.debug(error instanceof Error ? error.message : String(error));
      return false;
    }
  };
  await ifPossible(async () => await removeScratch(prefix));
  return await ifPossible(async () => {
    const session = await context.hosts.find(prefix, signal);
    if (session === undefined) return false;
    await removeRestores(
      session,
      prefix.specs.vms.map((vm) => domainName(prefix.uuid, vm.name)),
    );
    // Until a verb is finished or undone, it explains what the VMs use.
    return (prefix.record?.pending ?? null) === null && (await adoptDisks(session, prefix, { log: step.log, signal }));
  });
}

/** Finishes or undoes interrupted work, and does nothing else. */
export async function recoverEnvironment(context: RecipeContext, root: string, step: Step): Promise<void> {
  try {
    await using _opened = await openForChange(context, root, 'recover', step);
  } catch (error) {
    // Another window or command is already doing it.
    if (!(error instanceof EngineError) || error.code !== 'conflict.locked') throw error;
    step.log.info(error.message);
  }
}

/** Description of interrupted work for the user. */
export function pendingLabel(pending: PendingWork): string {
  const name = pending.name === null ? '' : ` “${pending.name}”`;
  switch (pending.kind) {
    case 'snapshot':
      return `the interrupted snapshot${name}`;
    case 'revert':
      return `the interrupted revert to${name}`;
    case 'delete-snapshot':
      return `the interrupted deletion of ${(pending.also ?? []).length === 0 ? 'snapshot' : 'several snapshots, from'}${name}`;
    case 'edit-snapshot':
      return `the interrupted renaming of snapshot${name}`;
    case 'vm':
      return `the interrupted change of VM ${pending.vms.join(', ')}`;
    default:
      return `the interrupted ${pending.kind}`;
  }
}

/** `start` ends a host that nothing can reach, with a warning, and starts over; pending work is resolved without that host. */
async function endWithoutSockets(context: RecipeContext, prefix: Prefix, step: Step): Promise<void> {
  try {
    await context.hosts.find(prefix, step.signal);
  } catch (error) {
    if (!(error instanceof EngineError) || error.details['reason'] !== 'sockets') throw error;
    step.log.warn(`${error.message} It is ended, and started again.`);
    await context.hosts.stop(prefix);
  }
}

/** Returns whether the work is now resolved. */
async function resolveNow(context: RecipeContext, prefix: Prefix, pending: PendingWork, purpose: Purpose, step: Step): Promise<boolean> {
  // Half-removed: only `destroy` and `init` can use it.
  if (pending.kind === 'destroy') return false;
  // Before a stop, finishing a revert would only boot VMs needlessly, and another revert replaces this one: leave it pending.
  if (pending.kind === 'revert' && pending.step === REVERTING && (ANYHOW.has(purpose) || purpose === 'revert')) return false;
  if (purpose === 'start') await endWithoutSockets(context, prefix, step);
  try {
    await step.step(`Finish ${pendingLabel(pending)}`, async (one) => await resolve(context, prefix, pending, one));
    return true;
  } catch (error) {
    if (!ANYHOW.has(purpose) || isCancelled(error)) throw error;
    step.log.warn(`Not finished: ${pendingLabel(pending)}: ${error instanceof Error ? error.message : String(error)}`);
    return false;
  }
}

async function resolve(context: RecipeContext, prefix: Prefix, pending: PendingWork, step: Step): Promise<void> {
  switch (pending.kind) {
    case 'snapshot':
      if (pending.step === LAYERING) await takeBackLayers(context, prefix, pending, step.log, step.signal);
      else await takeBack(context, prefix, pending, step.signal);
      break;
    case 'delete-snapshot':
      await finishDeletion(context, prefix, pending, step);
      break;
    case 'edit-snapshot':
      if (pending.name !== null && pending.to !== undefined) await renameSnapshot(prefix, pending.name, pending.to, step);
      break;
    case 'revert':
      await finishRevert(context, prefix, pending, step);
      break;
    case 'start':
      // Guests that were still held back; a later start would have resumed them too.
      await resumeVms(context, prefix, pending.vms, step);
      await clearUp(context, prefix, pending, step);
      break;
    case 'stop':
    case 'shutdown':
      // VMs that still run are left alone; the user can repeat the stop. A host in which nothing runs is not needed.
      await clearUp(context, prefix, { ...pending, hostWasUp: false }, step);
      break;
    case 'vm':
      await finishChange(context, prefix, pending.vms, step);
      break;
    case 'fork':
      await takeBackFork(context, prefix, pending, step);
      return;
    case 'export':
      if (pending.folder !== undefined) await removeUnfinishedExport(prefix, pending.folder);
      break;
    case 'destroy':
      return;
  }
  for (const fork of pending.forks ?? []) await clearHalfMade(context, fork, step);
  await settlePending(prefix, undefined, step.log);
}

/** Removes forks that are not whole, and the point that only they needed. */
async function takeBackFork(context: RecipeContext, prefix: Prefix, pending: PendingWork, step: Step): Promise<void> {
  for (const fork of pending.forks ?? []) await clearHalfMade(context, fork, step);
  const snapshot = prefix.record?.snapshots.find((candidate) => candidate.name === pending.name);
  if (snapshot === undefined) await settlePending(prefix, undefined, step.log);
  else await deleteSnapshotsOf(context, prefix, [snapshot], step);
}

async function finishDeletion(context: RecipeContext, prefix: Prefix, pending: PendingWork, step: Step): Promise<void> {
  const names = [pending.name, ...(pending.also ?? [])];
  const snapshots = (prefix.record?.snapshots ?? []).filter(({ name }) => names.includes(name));
  await deleteSnapshotsOf(context, prefix, snapshots, step);
}

/** Before the first VM is reverted, everything can continue as before; after that, only the complete snapshot is a consistent state. */
async function finishRevert(context: RecipeContext, prefix: Prefix, pending: PendingWork, step: Step): Promise<void> {
  const snapshot = prefix.record?.snapshots.find((candidate) => candidate.name === pending.name);
  if (pending.step === REVERTING && snapshot !== undefined) {
    await revertTo(context, prefix, snapshot, step);
    return;
  }
  const named = (names: readonly string[]): readonly VmSpec[] => prefix.specs.vms.filter((vm) => names.includes(vm.name));
  if (pending.step === REVERTED && snapshot !== undefined) {
    await finishReverted(context, prefix, snapshot, { reverted: named(pending.vms), running: named(pending.running) }, step);
    return;
  }
  await resumeVms(context, prefix, pending.running, step);
  // The layers on which the VMs were to go on.
  if (snapshot?.kind === 'layers') await collectLayers(context, prefix, step);
  await clearUp(context, prefix, pending, step);
}

/** Resumes those of the named VMs that are paused. */
async function resumeVms(context: RecipeContext, prefix: Prefix, names: readonly string[], step: Step): Promise<void> {
  const session = await context.hosts.find(prefix, step.signal);
  if (session === undefined) return;
  const vms = prefix.specs.vms.filter((vm) => names.includes(vm.name));
  await Promise.all(vms.map(async (vm) => await resumeForSure(session, prefix, vm, step.signal)));
}

/** Undefines VMs that are off, and stops the host if it was down before and nothing runs in it. */
async function clearUp(context: RecipeContext, prefix: Prefix, pending: PendingWork, step: Step): Promise<void> {
  const session = await context.hosts.find(prefix, step.signal);
  if (session === undefined) return;
  for (const vm of prefix.specs.vms) {
    const now = await statusOf(session, prefix, vm, step.signal);
    if (now !== undefined && now.id < 0) await onceFree(step.signal, async () => await undefineDomain(session, prefix, vm, step.signal));
  }
  if (!pending.hostWasUp && (await activeVms(session, prefix, step.signal)).length === 0) await context.hosts.stop(prefix);
}
