import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { type Prefix, vmSpec } from '../prefix/prefix.ts';
import { PARALLEL } from '../runtime/bring-down.ts';
import { isHosted } from '../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { resumeForSure, statusOf } from '../snapshot/snapshot-parts.ts';
import { suspendVm } from '../snapshot/take-snapshot.ts';
import { openForChange } from './recover.ts';

/**
 * Suspends the named VMs, or all that run: their processors stop, their memory stays. If one fails, those that this call suspended resume.
 * A kill can leave some suspended: both verbs can be repeated. `vm.not-running` for a named one that is off.
 */
export async function suspendEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'suspend', step);
  const { prefix } = opened;
  await onActive(context, prefix, names, step, async (session, vms) => {
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
  });
}

/** Resumes the named VMs, or all that are suspended. Running VMs are left alone. `vm.not-running` for a named one that is off. */
export async function resumeEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'resume', step);
  const { prefix } = opened;
  await onActive(context, prefix, names, step, async (session, vms) => {
    await step.each(
      vms,
      PARALLEL,
      (vm) => `Resuming VM ${vm.name}`,
      async (vm, one) => {
        const now = await statusOf(session, prefix, vm, one.signal);
        if (now?.state === 'paused') await session.hypervisor.resumeDomain(now.name, { signal: one.signal });
      },
    );
  });
}

/** Calls `work` with those of the VMs that are active in libvirt; all named ones must be. Does nothing when none is. */
async function onActive(
  context: RecipeContext,
  prefix: Prefix,
  names: readonly string[],
  step: Step,
  work: (session: HostSession, vms: readonly VmSpec[]) => Promise<void>,
): Promise<void> {
  requireReady(prefix);
  const vms = names.length === 0 ? prefix.specs.vms : names.map((name) => vmSpec(prefix, name));
  const foreign = names.length === 0 ? undefined : vms.find((vm) => !isHosted(context.plugins, vm));
  if (foreign !== undefined) {
    throw new EngineError('not-available', `${foreign.name} is not run by libvirt: it can be started and stopped, not suspended.`);
  }
  const session = await context.hosts.find(prefix, step.signal);
  const states = await Promise.all(
    vms.map(async (vm) => (session === undefined ? undefined : await statusOf(session, prefix, vm, step.signal))),
  );
  const off = vms.filter((_, index) => (states[index]?.id ?? -1) < 0);
  const [first] = off;
  if (names.length > 0 && first !== undefined) {
    throw new EngineError('vm.not-running', `${first.name} is off.`, { hint: `Start it with "lago start ${first.name}".` });
  }
  const active = vms.filter((vm) => !off.includes(vm));
  if (session === undefined || active.length === 0) step.log.info('No VM is running.');
  else await work(session, active);
}
