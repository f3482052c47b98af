import { type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { silentLog } from '../../core/log.ts';
import type { BootWatch } from '../../guest/boot/boot-watch.ts';
import { askCloudInit } from '../../guest/boot/cloud-init.ts';
import type { Refusal } from '../../guest/dial.ts';
import type { SshConnection } from '../../guest/ssh.ts';
import { domainName, type Prefix, readPrefix, vmAddress, vmSpec } from '../../prefix/prefix.ts';
import { loginNow, loginOf, sshOf } from '../access.ts';
import { isHosted } from '../foreign-vms.ts';
import type { RecipeContext } from '../recipe.ts';
import type { HostSession } from '../session.ts';
import { watchBoot } from './boot-watch.ts';

const CLOUD_INIT_EVERY_MS = 5000;
/** Time for one look at ssh. */
const LIMITS = { dialMs: 1200, loginMs: 10_000 };

/** How far each of the named VMs (all without names) has booted, and why not further; null for one that does not run here. Changes nothing. */
export async function bootOf(
  context: RecipeContext,
  root: string,
  names: readonly string[],
  signal: AbortSignal,
): Promise<Readonly<Record<string, BootState | null>>> {
  const prefix = await readPrefix(root);
  const vms = names.length === 0 ? prefix.specs.vms : names.map((name) => vmSpec(prefix, name));
  const session = await context.hosts.find(prefix, signal);
  const states = vms.map(async (vm) => [vm.name, await bootOfOne(context, session, prefix, vm, signal)] as const);
  return Object.fromEntries(await Promise.all(states));
}

async function bootOfOne(
  context: RecipeContext,
  session: HostSession | undefined,
  prefix: Prefix,
  vm: VmSpec,
  signal: AbortSignal,
): Promise<BootState | null> {
  if (session === undefined || !isHosted(context.plugins, vm)) return null;
  const domain = await session.hypervisor.findDomain(domainName(prefix.uuid, vm.name), { signal });
  if (domain === undefined || domain.id < 0) return null;
  const watch = await watchBoot(session, prefix, vm, { signal, log: silentLog, once: true });
  await Promise.all([watch.readOnce(), trySsh(context, session, prefix, vm, watch, signal)]);
  return watch.state();
}

async function trySsh(
  context: RecipeContext,
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  watch: BootWatch,
  signal: AbortSignal,
): Promise<void> {
  if (vmAddress(prefix.specs, vm) === null) return;
  const request = { ...(await loginOf(context, prefix, vm, sshOf(session, prefix, vm))), signal };
  try {
    const outcome = await loginNow(request, LIMITS);
    if (outcome instanceof EngineError) {
      watch.refused(outcome.details['reason'] as Refusal, outcome);
      return;
    }
    await using connection = outcome;
    watch.loggedIn(`login of ${vm['ssh-user']}`);
    watch.cloudInitSays(await askCloudInit(connection, signal));
  } catch (error) {
    if (signal.aborted || !(error instanceof EngineError) || error.details['reason'] !== 'host-key') throw error;
    watch.refused('host-key', error);
  }
}

/** Waits until cloud-init in a guest has finished, if the watch expects it. Rejects when the connection is lost. */
export async function followCloudInit(connection: SshConnection, watch: BootWatch, signal: AbortSignal): Promise<void> {
  while (waitingStage(watch.state())?.id === 'cloud-init') {
    const outcome = await askCloudInit(connection, signal);
    watch.cloudInitSays(outcome);
    if (outcome !== undefined) return;
    await watch.news(CLOUD_INIT_EVERY_MS, signal);
  }
}
