import { EngineError } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import type { NetSpec } from '../../../src-shared/specs.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import type { UndoStack } from '../core/undo.ts';
import { createLeaseStore } from '../net/leases.ts';
import { isLeasable, subnetOf } from '../net/subnets.ts';
import { prefixPaths } from '../prefix/layout.ts';
import { hostChoiceOf, type Prefix } from '../prefix/prefix.ts';
import { defaultHostChoice } from '../runtime/session.ts';

/** Subnets in the machine's store that are leased by other existing environments. */
export async function takenSubnets(settings: EngineSettings, root: string): Promise<readonly string[]> {
  const leases = await createLeaseStore({ dir: settings.leaseDir }).list();
  const own = prefixPaths(root).uuid;
  return leases.filter((lease) => lease.valid && lease.uuidPath !== own).map((lease) => lease.subnet);
}

/**
 * Leases exactly the planned subnets if the host shares its networks with others; undo releases them. False when another environment has
 * taken one since: plan again.
 */
export async function leaseSubnets(
  settings: EngineSettings,
  host: HostChoice,
  owner: { readonly root: string; readonly uuid: string; readonly nets: readonly NetSpec[]; readonly signal: AbortSignal },
  undo: UndoStack,
): Promise<boolean> {
  if (host.kind !== 'system') return true;
  const store = createLeaseStore({ dir: settings.leaseDir });
  const uuidPath = prefixPaths(owner.root).uuid;
  for (const net of owner.nets) {
    if (net.gw === undefined || !isLeasable(net.gw)) continue;
    const subnet = subnetOf(net.gw);
    try {
      await store.acquire({ uuidPath, uuid: owner.uuid, subnet, signal: owner.signal });
    } catch (error) {
      if (error instanceof EngineError && error.code === 'conflict.subnet') return false;
      throw error;
    }
    undo.add(`give subnet ${subnet} back`, async (signal) => await store.release(subnet, { uuid: owner.uuid, signal }));
  }
  return true;
}

/** Returns a prefix's subnets to the machine's store. An embedded host has its own networks and leases nothing. */
export async function releaseLeases(settings: EngineSettings, prefix: Prefix, signal: AbortSignal): Promise<void> {
  if (hostChoiceOf(prefix, defaultHostChoice(settings)).kind !== 'system') return;
  await createLeaseStore({ dir: settings.leaseDir }).releaseAll({ uuid: prefix.uuid, signal });
}
