import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { beginWork, settlePending } from '../prefix/journal.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import type { PendingWork, SnapshotRecord } from '../prefix/record.ts';
import { noteStart } from '../runtime/boot/boot-record.ts';
import { activeVms } from '../runtime/bring-down.ts';
import { openSession, startNetworks } from '../runtime/bring-up.ts';
import { realizeDomain, undefineDomain } from '../runtime/realize.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { collectLayers } from './layers/collect.ts';
import { requireUnchanged } from './layers/frozen-files.ts';
import { prepareLayers, revertLayered } from './layers/revert.ts';
import { tellRestored } from './memory/tell-restored.ts';
import { revertDefinitions } from './revert-definitions.ts';
import { keptHostKeys, onceFree, resume, runningVms, statusOf } from './snapshot-parts.ts';
import { suspendAll } from './suspend-all.ts';

/** Work after the point of no return is not cancelled; this limits each part of it. */
const FINISH_MS = 60_000;
/** Removing layers is quick; merging one that is not needed any more may take minutes. */
const COLLECT_MS = 30 * 60_000;

/**
 * Progress of a revert. From `reverting` on the previous state is lost, and only reverting all VMs is consistent. At `reverted` the
 * recorded VMs are back and may already contain new work: only the remaining clean-up is done.
 */
export const REVERTING = 'reverting';
export const REVERTED = 'reverted';

/**
 * Reverts a prefix opened for change: all VMs are paused, then all reverted; those saved with memory resume together, those saved while off
 * end up off. A VM that could not be reverted continues as before, the error names it, and the current snapshot stays the same.
 */
export async function revertTo(context: RecipeContext, prefix: Prefix, snapshot: SnapshotRecord, step: Step): Promise<void> {
  const vms = prefix.specs.vms.filter((vm) => snapshot.vms[vm.name] !== undefined);
  await requireUnchanged(prefix, snapshot);
  const found = await context.hosts.find(prefix, step.signal);
  const before = found === undefined ? [] : await activeVms(found, prefix, step.signal);
  const pending = prefix.record?.pending;
  const goingOn = pending?.kind === 'revert' && pending.step === REVERTING;
  const now = found === undefined ? [] : await runningVms(found, prefix, before, step.signal);
  // The first attempt has already paused them.
  const running = prefix.specs.vms.filter((vm) => now.includes(vm) || (goingOn && pending.running.includes(vm.name)));
  const work: Omit<PendingWork, 'since'> = {
    kind: 'revert',
    name: snapshot.name,
    step: goingOn ? REVERTING : 'preparing',
    vms: vms.map((vm) => vm.name),
    running: running.map((vm) => vm.name),
    hostWasUp: found !== undefined,
  };
  const journal = await beginWork(prefix, work, { log: step.log });
  await using undo = new UndoStack(step.log);
  // A revert interrupted in the middle stays pending until one succeeds.
  if (!goingOn) {
    const goOn = async (signal: AbortSignal): Promise<void> => {
      if (snapshot.kind === 'layers') await collectLayers(context, prefix, { log: step.log, signal });
      await journal.settle();
    };
    undo.add('go on as before', goOn, { timeoutMs: COLLECT_MS });
  }
  const session = await openSession(context, prefix, step, undo);
  const withMemory = vms.filter((vm) => snapshot.vms[vm.name] === 'memory');
  if (withMemory.length > 0) await startNetworks(session, prefix, prefix.specs.nets, step, undo);
  undo.add('resume the VMs', async (signal) => await resume(session, prefix, running, signal));
  await suspendAll(session, prefix, now, step);
  const definitions = snapshot.kind === 'layers' ? await prepareLayers(prefix, snapshot, vms, step) : new Map<string, VmSpec>();
  if (snapshot.kind === 'internal') {
    for (const vm of vms.filter((candidate) => !before.includes(candidate))) await realizeDomain(session, prefix, vm, step.signal, undo);
  }
  step.checkpoint();
  // From the first VM on, the previous state is lost: nothing is undone any more, and cancelling waits for the end.
  await journal.advance(REVERTING);
  undo.commit();
  const failures = await revertAll(session, prefix, { snapshot, definitions }, vms, step);
  const reverted = vms.filter((vm) => !failures.has(vm.name));
  await journal.advance(
    REVERTED,
    reverted.map((vm) => vm.name),
  );
  await finishReverted(context, prefix, snapshot, { reverted, running }, step);
  if (failures.size > 0) throw partly(vms, failures, await nowOff(context, prefix, before));
}

/**
 * Completes a revert: definitions get the devices of the snapshot; VMs saved with memory resume, and so do those that were running and not reverted; VMs that are off are undefined; ssh
 * host keys are restored; the record gets the new current snapshot if all VMs were reverted.
 */
export async function finishReverted(
  context: RecipeContext,
  prefix: Prefix,
  snapshot: SnapshotRecord,
  vms: { readonly reverted: readonly VmSpec[]; readonly running: readonly VmSpec[] },
  step: Step,
): Promise<void> {
  const { reverted, running } = vms;
  const session = await context.hosts.find(prefix, AbortSignal.timeout(FINISH_MS));
  await revertDefinitions(prefix, snapshot, reverted, session, AbortSignal.timeout(FINISH_MS));
  const withMemory = reverted.filter((vm) => snapshot.vms[vm.name] === 'memory');
  if (session !== undefined) {
    const goOn = [...withMemory, ...running.filter((vm) => !reverted.includes(vm))];
    await resume(session, prefix, goOn, AbortSignal.timeout(FINISH_MS));
    for (const vm of prefix.specs.vms) {
      const now = await statusOf(session, prefix, vm, AbortSignal.timeout(FINISH_MS));
      if (now !== undefined && now.state === 'shut off') await undefineDomain(session, prefix, vm, AbortSignal.timeout(FINISH_MS));
    }
  }
  await restoreHostKeys(prefix, snapshot, reverted);
  // Both to their end, whatever becomes of the other: the lock is held no longer than this.
  const outcomes = await Promise.allSettled([
    tellGuests(session, prefix, withMemory, step),
    // What was written since is not needed any more, nor are layers of an attempt that was interrupted.
    snapshot.kind === 'layers' && collectLayers(context, prefix, { log: step.log, signal: AbortSignal.timeout(COLLECT_MS) }),
  ]);
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  if (session !== undefined && (await activeVms(session, prefix, AbortSignal.timeout(FINISH_MS))).length === 0) {
    await context.hosts.stop(prefix);
  }
  const whole = prefix.specs.vms.every((vm) => snapshot.vms[vm.name] === undefined || reverted.includes(vm));
  await settlePending(prefix, (record) => (whole ? { ...record, current: snapshot.name, revertedAt: Date.now() } : record), step.log);
}

async function tellGuests(session: HostSession | undefined, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  if (session === undefined) return;
  await Promise.all(
    vms.map(async (vm) => {
      await tellRestored(session, domainName(prefix.uuid, vm.name), { seed: false }, step.log, AbortSignal.timeout(FINISH_MS));
    }),
  );
}

/** Those of the VMs that do not run any more. */
async function nowOff(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[]): Promise<readonly VmSpec[]> {
  const signal = AbortSignal.timeout(FINISH_MS);
  const session = await context.hosts.find(prefix, signal);
  const active = session === undefined ? [] : await activeVms(session, prefix, signal);
  return vms.filter((vm) => !active.includes(vm));
}

function partly(vms: readonly VmSpec[], failures: ReadonlyMap<string, string>, off: readonly VmSpec[]): EngineError {
  const names = (some: readonly VmSpec[]): string => some.map((vm) => vm.name).join(', ');
  const failed = vms.filter((vm) => failures.has(vm.name));
  const [unchanged, lost] = [failed.filter((vm) => !off.includes(vm)), failed.filter((vm) => off.includes(vm))];
  const parts = [
    ...(unchanged.length === 0 ? [] : [`Not reverted and unchanged: ${names(unchanged)}.`]),
    ...(lost.length === 0 ? [] : [`Not reverted, and off now with their disks as they were: ${names(lost)}.`]),
    `Reverted: ${names(vms.filter((vm) => !failures.has(vm.name))) || 'none'}.`,
  ];
  return new EngineError('hypervisor.failed', `${parts.join(' ')} ${[...failures.values()][0] ?? ''}`, {
    hint: 'Revert again, or look at the log for libvirt’s own words.',
  });
}

/** The guests' host keys are on their disks, so the pinned ones are reverted too. */
async function restoreHostKeys(prefix: Prefix, snapshot: SnapshotRecord, reverted: readonly VmSpec[]): Promise<void> {
  const { openHostKeys } = await import('../guest/host-keys.ts');
  const names = reverted.map((vm) => vm.name);
  await openHostKeys(prefix.paths.hostKeys).restore(keptHostKeys(prefix, snapshot.name), names);
}

async function revertAll(
  session: HostSession,
  prefix: Prefix,
  { snapshot, definitions }: { readonly snapshot: SnapshotRecord; readonly definitions: ReadonlyMap<string, VmSpec> },
  vms: readonly VmSpec[],
  step: Step,
): Promise<ReadonlyMap<string, string>> {
  const failures = new Map<string, string>();
  await step.step('Revert VMs', async (all) => {
    const tasks = vms.map(
      async (vm) =>
        await all
          .step(`Revert VM ${vm.name}`, async (one) => {
            const then = definitions.get(vm.name);
            if (then !== undefined) {
              await revertLayered(session, prefix, snapshot, then, one);
              return;
            }
            const memory = snapshot.vms[vm.name] === 'memory';
            const how = memory ? ({ state: 'paused' } as const) : {};
            const domain = domainName(prefix.uuid, vm.name);
            await onceFree(undefined, async () => await session.hypervisor.revertSnapshot(domain, snapshot.name, how));
            // It stands still until all are back: nothing has been printed yet.
            if (memory) await noteStart(prefix.paths, vm.name, { continued: true, logs: session.host.logs }, all.log);
          })
          .catch((error: unknown) => {
            failures.set(vm.name, error instanceof Error ? error.message : String(error));
          }),
    );
    await Promise.all(tasks);
  });
  return failures;
}
