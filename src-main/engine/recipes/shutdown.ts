import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { SHUTDOWN_SECONDS, type VerbInputs } from '../../../src-shared/verbs.ts';
import type { Step } from '../core/operation.ts';
import { beginWork } from '../prefix/journal.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { askGuest, PATIENCE_MS, type Wish } from '../runtime/ask-guest.ts';
import { PARALLEL, stopForeignVms, takeDownUnused } from '../runtime/bring-down.ts';
import { foreignVm, isHosted } from '../runtime/foreign-vms.ts';
import { releaseDomain, undefineDomain } from '../runtime/realize.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { statusOf } from '../snapshot/snapshot-parts.ts';
import { activeHosted, namedVms } from './active-vms.ts';
import { openForChange } from './recover.ts';

type ShutdownInput = VerbInputs['shutdown'];

/**
 * Lets the guests of the named VMs (all when none are named) shut down, waits until they are off, then takes down what nobody uses any
 * more, as a stop does. VMs that are off are left alone, suspended ones are resumed. Those that are still on after `forceAfter` seconds are
 * powered off; without it, `guest.failed` names them after Lago's 300 s.
 */
export async function shutDownEnvironment(
  context: RecipeContext,
  root: string,
  input: ShutdownInput,
  step: Step,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  if (input.reboot === true) {
    await rebootEnvironment(context, root, input, step, patienceMs);
    return;
  }
  await using opened = await openForChange(context, root, 'shutdown', step);
  const { prefix } = opened;
  const { vms: names = [] } = input;
  const vms = namedVms(prefix, names);
  await step.step(names.length === 0 ? 'Shut down prefix' : 'Shut down specified VMs', async (all) => {
    const journal = await beginWork(
      prefix,
      { kind: 'shutdown', name: null, step: 'stopping', vms: vms.map((vm) => vm.name), running: [], hostWasUp: true },
      { log: step.log, ifFree: true },
    );
    try {
      await shutDownVms(context, prefix, vms, input.forceAfter, patienceMs, all);
    } finally {
      // As with a stop: it is repeated by the user or not at all.
      await journal.settle();
    }
  });
}

async function shutDownVms(
  context: RecipeContext,
  prefix: Prefix,
  vms: readonly VmSpec[],
  forceAfter: number | undefined,
  patienceMs: number,
  step: Step,
): Promise<void> {
  const hosted = vms.filter((vm) => isHosted(context.plugins, vm));
  if (hosted.length < vms.length) {
    const foreign = vms.filter((vm) => !hosted.includes(vm));
    await step.step('Shut down VMs of other providers', async (all) => {
      await stopForeignVms(context.plugins, prefix, foreign, 'shutdown', all);
    });
  }
  if ((await context.hosts.find(prefix, step.signal)) === undefined) return;
  const left = await askAll(context, prefix, hosted, { wish: 'shut down', forceAfter, patienceMs }, step, async (vm, obeyed, one) => {
    const session = await context.hosts.find(prefix, one.signal);
    if (session === undefined) return;
    if (obeyed) await undefineDomain(session, prefix, vm, one.signal);
    else {
      one.log.warn(`VM ${vm.name} has not shut down: it is powered off.`);
      await releaseDomain(session, prefix, vm, one.signal);
    }
  });
  const session = await context.hosts.find(prefix, step.signal);
  if (session !== undefined) await takeDownUnused(context, session, prefix, step);
  if (left.length > 0) throw failure('shutdown', left);
}

/**
 * Lets the guests of the named VMs reboot, or those of all running ones, and waits until they have begun to. Those that have not after
 * `forceAfter` seconds are reset; without it, `guest.failed` names them after Lago's 300 s. `vm.not-running` for a named one that is off.
 */
export async function rebootEnvironment(
  context: RecipeContext,
  root: string,
  input: ShutdownInput,
  step: Step,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  await using opened = await openForChange(context, root, 'reboot', step);
  const { prefix } = opened;
  const { vms: names = [], forceAfter } = input;
  const vms = namedVms(prefix, names);
  const hosted = vms.filter((vm) => isHosted(context.plugins, vm));
  const foreign = vms.filter((vm) => !hosted.includes(vm));
  requireReady(prefix);
  if (foreign.length > 0) await rebootForeign(context, prefix, foreign, step);
  if (hosted.length === 0) return;
  const wanted = names.length === 0 ? [] : hosted.map((vm) => vm.name);
  const active = await activeHosted(context, prefix, wanted, step);
  const about = { wish: 'reboot', forceAfter, patienceMs } as const;
  const left = await askAll(context, prefix, active?.vms ?? [], about, step, async (vm, obeyed, one) => {
    if (obeyed) return;
    const session = await context.hosts.find(prefix, one.signal);
    const now = session === undefined ? undefined : await statusOf(session, prefix, vm, one.signal);
    if (session === undefined || now === undefined) return;
    one.log.warn(`VM ${vm.name} has not rebooted: it is reset.`);
    await session.hypervisor.resetDomain(now.name, { signal: one.signal });
  });
  if (left.length > 0) throw failure('reboot', left);
}

async function rebootForeign(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  await step.each(
    vms,
    PARALLEL,
    (vm) => `Rebooting VM ${vm.name}`,
    async (vm, one) => {
      const foreign = foreignVm(context.plugins, prefix, vm);
      if ((await foreign.state(one)) !== 'down') await foreign.reboot(one);
    },
  );
}

/** Resets the named VMs, or all that are active, without asking their guests. `vm.not-running` for a named one that is off. */
export async function resetEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'reset', step);
  const { prefix } = opened;
  const active = await activeHosted(context, prefix, names, step);
  if (active === undefined) return;
  const { session, vms } = active;
  await step.each(
    vms,
    PARALLEL,
    (vm) => `Resetting VM ${vm.name}`,
    async (vm, one) => {
      const now = await statusOf(session, prefix, vm, one.signal);
      if (now === undefined) return;
      await session.hypervisor.resetDomain(now.name, { signal: one.signal });
      if (now.state === 'paused') await session.hypervisor.resumeDomain(now.name, { signal: one.signal });
    },
  );
}

interface Asking {
  readonly wish: Wish;
  readonly forceAfter: number | undefined;
  readonly patienceMs: number;
}

/**
 * Asks all guests at the same time. `finish` is called for each that obeyed, and with `obeyed` false for each that has to be forced.
 * Returns the names of those that did not obey and are not forced.
 */
async function askAll(
  context: RecipeContext,
  prefix: Prefix,
  vms: readonly VmSpec[],
  { wish, forceAfter, patienceMs }: Asking,
  step: Step,
  finish: (vm: VmSpec, obeyed: boolean, step: Step) => Promise<void>,
): Promise<readonly string[]> {
  const [title, doing, force] =
    wish === 'shut down' ? ['Shut down vms', 'Shutting down', 'power off'] : ['Reboot vms', 'Rebooting', 'reset'];
  const seconds = forceAfter ?? SHUTDOWN_SECONDS;
  const deadline = Date.now() + seconds * 1000;
  using countdown = forceAfter === undefined ? undefined : step.countdown(deadline);
  const left: string[] = [];
  await step.step(title, async (all) => {
    const tell = (): void => {
      const rest = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
      all.progress(0, forceAfter === undefined ? `${rest} s left` : `${force} in ${rest} s`);
    };
    tell();
    const ticks = setInterval(tell, 1000);
    try {
      // Waiting costs nothing: all guests get the whole time.
      await all.each(
        vms,
        vms.length,
        (vm) => `${doing} VM ${vm.name}`,
        async (vm, one) => {
          const obeyed = await askGuest(context, prefix, vm, wish, { deadline, hurried: countdown?.hurried, patienceMs }, one);
          if (obeyed || forceAfter !== undefined) await finish(vm, obeyed, one);
          else left.push(vm.name);
        },
      );
    } finally {
      clearInterval(ticks);
    }
  });
  return left;
}

/** Lago's message. */
function failure(verb: 'shutdown' | 'reboot', names: readonly string[]): EngineError {
  const [those, force] = [names.join(' '), verb === 'shutdown' ? 'stop' : 'reset'];
  const command = verb === 'shutdown' ? 'shutdown' : 'shutdown --reboot';
  return new EngineError('guest.failed', `Failed to ${verb} vm: ${names.join(', ')}`, {
    hint: `The guest ignored it for ${SHUTDOWN_SECONDS} s. Use "lago ${force} ${those}", or give it less time: "lago ${command} --force SECONDS ${those}".`,
  });
}
