import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { PARALLEL } from '../runtime/bring-down.ts';
import { tellTime } from '../runtime/guest-time.ts';
import type { RecipeContext } from '../runtime/recipe.ts';
import { resumeForSure, statusOf } from '../snapshot/snapshot-parts.ts';
import { suspendVm } from '../snapshot/suspend-all.ts';
import { activeHosted } from './active-vms.ts';
import { openForChange } from './recover.ts';

/**
 * Suspends the named VMs, or all that run: their processors stop, their memory stays. If one fails, those that this call suspended resume.
 * A kill can leave some suspended: both verbs can be repeated. `vm.not-running` for a named one that is off.
 */
export async function suspendEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'suspend', step);
  const { prefix } = opened;
  const active = await activeHosted(context, prefix, names, step);
  if (active !== undefined) {
    const { session, vms } = active;
    await using undo = new UndoStack(step.log);
    await step.each(
      vms,
      PARALLEL,
      (vm) => `Suspending VM ${vm.name}`,
      async (vm, one) => {
        const now = await statusOf(session, prefix, vm, one.signal);
        if (now === undefined || now.state === 'paused') return;
        let hangs = false;
        undo.add(`resume ${vm.name}`, async (signal) => {
          // Nothing can be done with it until it responds; then it may well be suspended.
          if (!hangs) await resumeForSure(session, prefix, vm, signal);
        });
        await suspendVm(session, prefix, vm, one.signal, () => {
          hangs = true;
        });
      },
    );
    undo.commit();
  }
}

/** Resumes the named VMs, or all that are suspended, and tells those with a guest agent the time. Running VMs are left alone. `vm.not-running` for a named one that is off. */
export async function resumeEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'resume', step);
  const { prefix } = opened;
  const active = await activeHosted(context, prefix, names, step);
  if (active !== undefined) {
    const { session, vms } = active;
    await step.each(
      vms,
      PARALLEL,
      (vm) => `Resuming VM ${vm.name}`,
      async (vm, one) => {
        const now = await statusOf(session, prefix, vm, one.signal);
        if (now?.state !== 'paused') return;
        await session.hypervisor.resumeDomain(now.name, { signal: one.signal });
        await tellTime(session, now.name, one.log, one.signal);
      },
    );
  }
}
