import { EngineError } from '../../../src-shared/errors.ts';
import type { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import type { UndoStack } from '../core/undo.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import { noteStart } from './boot/boot-record.ts';
import { PARALLEL } from './bring-down.ts';
import type { ForeignVm } from './foreign-vms.ts';
import { realizeDomain, realizeNetwork } from './realize.ts';
import type { RecipeContext } from './recipe.ts';
import type { HostSession } from './session.ts';

/** The prefix's host, started when it is down (and stopped again by `undo`). */
export async function openSession(context: RecipeContext, prefix: Prefix, step: Step, undo: UndoStack): Promise<HostSession> {
  const running = await findToStart(context, prefix, step.signal);
  if (running !== undefined) return running;
  return await step.step('Start host', async (one) => {
    undo.add('stop the host', async () => await context.hosts.stop(prefix));
    return await context.hosts.open(prefix, one.log, one.signal);
  });
}

/** The host if it is up. One without sockets counts as down: opening it ends its remains and starts over. */
export async function findToStart(context: RecipeContext, prefix: Prefix, signal: AbortSignal): Promise<HostSession | undefined> {
  try {
    return await context.hosts.find(prefix, signal);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'host.unusable' && error.details['reason'] === 'sockets') return undefined;
    throw error;
  }
}

/** Brings up those of the networks that are down. */
export async function startNetworks(
  session: HostSession,
  prefix: Prefix,
  nets: readonly NetSpec[],
  step: Step,
  undo: UndoStack,
): Promise<void> {
  await step.step('Start nets', async (all) => {
    await all.each(
      nets,
      PARALLEL,
      (net) => `Create network ${net.name}`,
      async (net, one) => {
        await realizeNetwork(session, prefix, net, one.signal, undo);
      },
    );
  });
}

/** Lets the guest of a VM run that was started without. */
export type LetRun = (signal: AbortSignal) => Promise<void>;

/**
 * Starts a VM, or resumes a paused one; a running one is left alone. With `hold` a VM that it starts is paused at its first instruction,
 * and the result lets it run.
 */
export async function startVm(
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  how: { readonly hold: boolean },
  step: Step,
  undo: UndoStack,
): Promise<LetRun | undefined> {
  const { hypervisor, host } = session;
  const name = domainName(prefix.uuid, vm.name);
  const now = await hypervisor.findDomain(name, { signal: step.signal });
  if (now?.state === 'paused') {
    await hypervisor.resumeDomain(name, { signal: step.signal });
    return undefined;
  }
  if (now !== undefined && now.state !== 'shut off' && now.state !== 'crashed') return undefined;
  await realizeDomain(session, prefix, vm, step.signal, undo);
  undo.add(`stop ${vm.name}`, async (signal) => await hypervisor.destroyDomain(name, { signal }));
  await noteStart(prefix.paths, vm.name, { continued: false, logs: host.logs }, step.log);
  await hypervisor.startDomain(name, { paused: how.hold }, { signal: step.signal });
  return how.hold ? async (signal) => await hypervisor.resumeDomain(name, { signal }) : undefined;
}

/** Asks a foreign VM's provider to start it. */
export async function startForeignVm(foreign: ForeignVm, step: Step, undo: UndoStack): Promise<void> {
  const { log } = step;
  if ((await foreign.state(step)) === 'running') return;
  undo.add(`stop ${foreign.vm.name}`, async (signal) => await foreign.stop({ signal, log }));
  await foreign.start(step);
}
