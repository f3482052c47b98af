import type { EngineSettings } from '../engine.ts';
import { createLeaseStore } from '../net/leases.ts';
import { hostChoiceOf, type Prefix } from './prefix.ts';
import { defaultHostChoice } from './session.ts';

/** Gives a prefix's subnets back to the machine's store. An embedded host has networks of its own and leases nothing. */
export async function releaseLeases(settings: EngineSettings, prefix: Prefix, signal: AbortSignal): Promise<void> {
  if (hostChoiceOf(prefix, defaultHostChoice(settings)).kind === 'embedded') return;
  const store = createLeaseStore({ dir: settings.leaseDir });
  await store.releaseAll({ uuid: prefix.uuid, signal });
}
