import type { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { UndoStack } from '../core/undo.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import { prefixPaths } from './layout.ts';
import { isHosted, type Machine, machineOf } from './machines.ts';
import { domainName, type Prefix, readPrefix, vmSpec } from './prefix.ts';
import { realizeDomain, realizeNetwork, releaseDomain, releaseNetwork } from './realize.ts';
import { lockPrefix, type RecipeContext, requireReady } from './recipe.ts';
import type { Session } from './session.ts';

/** How many calls to libvirt run at once: it serves five requests of a client at a time, and QEMU's start is bound by the CPU. */
export const PARALLEL = 4;

/**
 * Starts the named VMs (all when none are named) and the networks that they need, VMs side by side. What is up already is left
 * alone; when something fails, what this call started is stopped again. Machines that libvirt does not run are their provider's affair.
 */
export async function startEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using _lock = await lockPrefix(prefixPaths(root), 'start', step.signal);
  const prefix = await readPrefix(root);
  requireReady(prefix);
  const named = names.length === 0 ? prefix.specs.vms : names.map((name) => vmSpec(prefix, name));
  const hosted = named.filter((vm) => isHosted(context.plugins, vm));
  // Asked for before anything starts: a provider that is not there is an error.
  const machines = named.filter((vm) => !hosted.includes(vm)).map((vm) => machineOf(context.plugins, prefix, vm));
  const nets = names.length === 0 ? prefix.specs.nets : netsOf(prefix, hosted);
  await step.step(names.length === 0 ? 'Start Prefix' : 'Start specified VMs', async (start) => {
    await using undo = new UndoStack(step.log);
    const begin: (readonly [string, (one: Step) => Promise<void>])[] = machines.map((machine) => [
      machine.vm.name,
      async (one) => await startMachine(machine, one, undo),
    ]);
    if (hosted.length > 0 || nets.length > 0) {
      const session = await openSession(context, prefix, start, undo);
      await startNetworks(session, prefix, nets, start, undo);
      begin.unshift(...hosted.map((vm) => [vm.name, async (one: Step) => await startVm(session, prefix, vm, one, undo)] as const));
    }
    await start.step(
      'Start vms',
      async (all) =>
        await all.each(
          begin,
          PARALLEL,
          ([name]) => `Starting VM ${name}`,
          async ([, startOne], one) => await startOne(one),
        ),
      { weight: 4 },
    );
    undo.commit();
  });
}

/** The prefix's host, started when it is down (and then stopped again if what follows fails). */
export async function openSession(context: RecipeContext, prefix: Prefix, step: Step, undo: UndoStack): Promise<Session> {
  const running = await context.hosts.find(prefix, step.signal);
  if (running !== undefined) return running;
  return await step.step('Start host', async (one) => {
    undo.add('stop the host', async () => await context.hosts.stop(prefix));
    return await context.hosts.open(prefix, one.log, one.signal);
  });
}

/** Brings up those networks that are down. */
export async function startNetworks(
  session: Session,
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

async function startVm(session: Session, prefix: Prefix, vm: VmSpec, step: Step, undo: UndoStack): Promise<void> {
  const name = domainName(prefix.uuid, vm.name);
  const now = await session.hypervisor.findDomain(name, { signal: step.signal });
  if (now?.state === 'paused') {
    await session.hypervisor.resumeDomain(name, { signal: step.signal });
    return;
  }
  if (now !== undefined && now.state !== 'shut off' && now.state !== 'crashed') return;
  await realizeDomain(session, prefix, vm, step.signal, undo);
  undo.add(`stop ${vm.name}`, async (signal) => await session.hypervisor.destroyDomain(name, { signal }));
  await session.hypervisor.startDomain(name, {}, { signal: step.signal });
}

async function startMachine(machine: Machine, step: Step, undo: UndoStack): Promise<void> {
  const { log } = step;
  if ((await machine.state(step)) === 'running') return;
  undo.add(`stop ${machine.vm.name}`, async (signal) => await machine.stop({ signal, log }));
  await machine.start(step);
}

/** A machine whose provider is gone is left as it is, and said so: the rest of the environment can still be stopped. */
async function stopMachines(plugins: PluginRegistry, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  const known = vms.filter((vm) => {
    const there = plugins.find('vm-provider', vm['vm-provider']) !== undefined;
    if (!there) step.log.warn(`VM ${vm.name} is left as it is: no plugin offers its provider "${vm['vm-provider']}".`);
    return there;
  });
  await step.each(
    known.map((vm) => machineOf(plugins, prefix, vm)),
    PARALLEL,
    (machine) => `Stopping VM ${machine.vm.name}`,
    async (machine, one) => {
      if ((await machine.state(one)) !== 'down') await machine.stop(one);
    },
  );
}

/**
 * Powers off the named VMs (all when none are named), then takes down the networks that no running VM uses. A VM that is gone
 * already counts as down. When nothing runs any more the environment's own host ends too.
 */
export async function stopEnvironment(context: RecipeContext, root: string, names: readonly string[], step: Step): Promise<void> {
  await using _lock = await lockPrefix(prefixPaths(root), 'stop', step.signal);
  const prefix = await readPrefix(root);
  const vms = names.length === 0 ? prefix.specs.vms : names.map((name) => vmSpec(prefix, name));
  await step.step(names.length === 0 ? 'Stop prefix' : 'Stop specified VMs', async (stop) => {
    await stopVms(context, prefix, vms, stop);
  });
}

/** The body of `stop`, for recipes that hold the lock already. */
export async function stopVms(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  const hosted = vms.filter((vm) => isHosted(context.plugins, vm));
  if (hosted.length < vms.length) {
    const machines = vms.filter((vm) => !hosted.includes(vm));
    await step.step('Stop machines', async (all) => await stopMachines(context.plugins, prefix, machines, all));
  }
  const session = await context.hosts.find(prefix, step.signal);
  if (session === undefined) return;
  await step.step('Stop vms', async (all) => {
    await all.each(
      hosted,
      PARALLEL,
      (vm) => `Destroying VM ${vm.name}`,
      async (vm, one) => {
        await releaseDomain(session, prefix, vm, one.signal);
      },
    );
  });
  const active = await activeVms(session, prefix, step.signal);
  const needed = new Set(netsOf(prefix, active).map((net) => net.name));
  await step.step('Stop nets', async (all) => {
    const unused = prefix.specs.nets.filter((net) => !needed.has(net.name));
    await all.each(
      unused,
      PARALLEL,
      (net) => `Destroy network ${net.name}`,
      async (net, one) => {
        await releaseNetwork(session, prefix, net, one.signal);
      },
    );
  });
  if (active.length === 0) await context.hosts.stop(prefix);
}

/** The VMs of the prefix that libvirt runs in any form (running, paused, shutting down). */
export async function activeVms(session: Session, prefix: Prefix, signal: AbortSignal): Promise<readonly VmSpec[]> {
  const domains = await session.hypervisor.listDomains({ signal });
  const active = new Set(domains.filter((domain) => domain.id >= 0).map((domain) => domain.name));
  return prefix.specs.vms.filter((vm) => active.has(domainName(prefix.uuid, vm.name)));
}

/** The networks that those VMs are connected to, in the definition's order. */
export function netsOf(prefix: Prefix, vms: readonly VmSpec[]): readonly NetSpec[] {
  const names = new Set(vms.flatMap((vm) => vm.nics.map((nic) => nic.net)));
  return prefix.specs.nets.filter((net) => names.has(net.name));
}
