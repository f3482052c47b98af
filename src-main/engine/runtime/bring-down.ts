import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import { isDead } from '../core/fault.ts';
import type { Step } from '../core/operation.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import { foreignVm, isHosted } from './foreign-vms.ts';
import { endServers } from './packages/with-environment.ts';
import { releaseDomain, releaseNetwork } from './realize.ts';
import type { RecipeContext } from './recipe.ts';
import type { HostSession } from './session.ts';

/** Parallel calls to libvirt: it serves five requests of a client at a time, and starting QEMU is CPU-bound. */
export const PARALLEL = 4;

/** Powers off the given VMs, then removes what is no longer needed: networks, and finally the environment's own host. */
export async function stopVms(context: RecipeContext, prefix: Prefix, vms: readonly VmSpec[], step: Step): Promise<void> {
  const hosted = vms.filter((vm) => isHosted(context.plugins, vm));
  if (hosted.length < vms.length) {
    const foreign = vms.filter((vm) => !hosted.includes(vm));
    await step.step('Stop VMs of other providers', async (all) => await stopForeignVms(context.plugins, prefix, foreign, 'stop', all));
  }
  const everything = prefix.specs.vms.every((vm) => vms.includes(vm) || !isHosted(context.plugins, vm));
  try {
    await stopHosted(context, prefix, hosted, step);
  } catch (error) {
    // A machine that does not answer would not answer a second time either.
    if (error instanceof EngineError && error.details['reason'] === 'machine') throw error;
    if (!everything || isDead() || isCancelled(error) || context.hosts.summary(prefix, undefined).kind === 'system') throw error;
    // Ending the host ends all of its processes, whatever libvirt replies.
    step.log.warn(`${error instanceof Error ? error.message : String(error)} The host is ended without it.`);
    await context.hosts.stop(prefix);
  }
}

async function stopHosted(context: RecipeContext, prefix: Prefix, hosted: readonly VmSpec[], step: Step): Promise<void> {
  const session = await context.hosts.find(prefix, step.signal);
  if (session === undefined) {
    // It has ended by itself; from now on it counts as stopped.
    if (context.hosts.summary(prefix, undefined).problem !== null) await context.hosts.stop(prefix);
    return;
  }
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
  await takeDownUnused(context, session, prefix, step);
}

/** Takes down the networks that no active VM uses, and ends the environment's own host when no VM is active. */
export async function takeDownUnused(context: RecipeContext, session: HostSession, prefix: Prefix, step: Step): Promise<void> {
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
  if (active.length > 0) return;
  await endServers(session.host, prefix);
  await context.hosts.stop(prefix);
}

/**
 * Stops VMs of other providers: `shutdown` asks providers that can shut down a guest to do so. A VM whose provider is missing is left
 * alone with a warning: the rest of the environment can still be stopped.
 */
export async function stopForeignVms(
  plugins: PluginRegistry,
  prefix: Prefix,
  vms: readonly VmSpec[],
  how: 'stop' | 'shutdown',
  step: Step,
): Promise<void> {
  const known = vms.filter((vm) => {
    const there = plugins.find('vm-provider', vm['vm-provider']) !== undefined;
    if (!there) step.log.warn(`VM ${vm.name} is left as it is: no plugin offers its provider "${vm['vm-provider']}".`);
    return there;
  });
  await step.each(
    known.map((vm) => foreignVm(plugins, prefix, vm)),
    PARALLEL,
    (foreign) => `Stopping VM ${foreign.vm.name}`,
    async (foreign, one) => {
      if ((await foreign.state(one)) !== 'down') await foreign[how](one);
    },
  );
}

/** The VMs of the prefix that are active in libvirt (running, paused, shutting down). */
export async function activeVms(session: HostSession, prefix: Prefix, signal: AbortSignal): Promise<readonly VmSpec[]> {
  const domains = await session.hypervisor.listDomains({ signal });
  const active = new Set(domains.filter((domain) => domain.id >= 0).map((domain) => domain.name));
  return prefix.specs.vms.filter((vm) => active.has(domainName(prefix.uuid, vm.name)));
}

/** The networks that the given VMs are connected to, in the definition's order. */
export function netsOf(prefix: Prefix, vms: readonly VmSpec[]): readonly NetSpec[] {
  const names = new Set(vms.flatMap((vm) => vm.nics.map((nic) => nic.net)));
  return prefix.specs.nets.filter((net) => names.has(net.name));
}
