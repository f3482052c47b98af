import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import { startWaves } from '../plan/start-order.ts';
import { beginWork } from '../prefix/journal.ts';
import { activeVms, netsOf, PARALLEL, stopVms } from '../runtime/bring-down.ts';
import { findToStart, type LetRun, openSession, startForeignVm, startNetworks, startVm } from '../runtime/bring-up.ts';
import { foreignVm, isHosted } from '../runtime/foreign-vms.ts';
import { serveWithEnvironment } from '../runtime/packages/with-environment.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { currentBudget } from '../runtime/start-budget.ts';
import { namedVms } from './active-vms.ts';
import { openForChange } from './recover.ts';

/**
 * Starts the named VMs (all when none are named), and the networks that they need: as many at once as the machine allows, in the order of
 * their `start-after`. VMs and networks that are already up are left alone; on failure, whatever this call started is stopped again. VMs
 * that libvirt does not run are started by their provider.
 */
export async function startEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'start', step);
  const { prefix } = opened;
  requireReady(prefix);
  const vms = namedVms(prefix, names);
  const hosted = vms.filter((vm) => isHosted(context.plugins, vm));
  // Checked before anything starts: a missing provider is an error.
  const foreign = vms.filter((vm) => !hosted.includes(vm)).map((vm) => foreignVm(context.plugins, prefix, vm));
  const nets = names.length === 0 ? prefix.specs.nets : netsOf(prefix, hosted);
  await step.step(names.length === 0 ? 'Start Prefix' : 'Start specified VMs', async (start) => {
    const hostWasUp = hosted.length > 0 && (await findToStart(context, prefix, start.signal)) !== undefined;
    const journal = await beginWork(
      prefix,
      { kind: 'start', name: null, step: 'starting', vms: vms.map((vm) => vm.name), running: [], hostWasUp },
      { log: step.log, ifFree: true },
    );
    await using undo = new UndoStack(step.log);
    undo.add('nothing is being started', async () => await journal.settle());
    const begin = new Map<string, (one: Step, how: { readonly hold: boolean }) => Promise<LetRun | void>>(
      foreign.map((one) => [one.vm.name, async (starting) => await startForeignVm(one, starting, undo)]),
    );
    let parallel = PARALLEL;
    let holdGuests = false;
    if (hosted.length > 0 || nets.length > 0) {
      const session = await openSession(context, prefix, start, undo);
      await startNetworks(session, prefix, nets, start, undo);
      if (nets.some(({ management }) => management)) await serveWithEnvironment(context, session.host, prefix, start);
      for (const vm of hosted) begin.set(vm.name, async (one, how) => await startVm(session, prefix, vm, how, one, undo));
      const active = await activeVms(session, prefix, start.signal);
      const budget = await currentBudget(
        hosted.filter((vm) => !active.includes(vm)),
        session.host,
      );
      if (budget.warning !== undefined) start.log.warn(budget.warning);
      ({ parallel, holdGuests } = budget);
    }
    await start.step(
      'Start vms',
      async (all) => {
        for (const wave of startWaves(vms)) {
          const held = await all.each(
            wave,
            parallel,
            (vm) => `Starting VM ${vm.name}`,
            async (vm, one) => await begin.get(vm.name)?.(one, { hold: holdGuests && wave.length > 1 }),
          );
          await Promise.all(held.map(async (letRun) => await letRun?.(all.signal)));
        }
      },
      { weight: 4 },
    );
    undo.commit();
    await journal.settle();
  });
}

/**
 * Powers off the named VMs (all when none are named), then takes down the networks that no running VM uses. A VM that no longer exists
 * counts as down. When nothing runs any more, the environment's own host ends too.
 */
export async function stopEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'stop', step);
  const { prefix } = opened;
  const vms = namedVms(prefix, names);
  await step.step(names.length === 0 ? 'Stop prefix' : 'Stop specified VMs', async (stop) => {
    const journal = await beginWork(
      prefix,
      { kind: 'stop', name: null, step: 'stopping', vms: vms.map((vm) => vm.name), running: [], hostWasUp: true },
      { log: step.log, ifFree: true },
    );
    try {
      await stopVms(context, prefix, vms, stop);
    } finally {
      // A failed or cancelled stop is not continued by other commands; the user can repeat it.
      await journal.settle();
    }
  });
}
