import { VmSpec } from '../../../src-shared/specs.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { withNames, withoutStaleNames } from '../plan/nic-names.ts';
import { type Prefix, readSpecs } from '../prefix/prefix.ts';
import type { SnapshotRecord } from '../prefix/record.ts';
import { matchNetwork } from '../runtime/changes/match-network.ts';
import type { HostSession } from '../runtime/session.ts';
import { sweepAddedImages } from './added-images.ts';
import { keptDefinition } from './snapshot-parts.ts';

/**
 * Gives reverted VMs the devices and memory of the snapshot in their definitions too, with which they run now, and the networks the
 * names of their cards. Images that were added since and that no snapshot has are removed. Can be repeated. A snapshot of an older version
 * knows the disks only.
 */
export async function revertDefinitions(
  prefix: Prefix,
  snapshot: SnapshotRecord,
  reverted: readonly VmSpec[],
  session: HostSession | undefined,
  signal: AbortSignal,
): Promise<void> {
  /** Addresses of cards that are back. */
  const back = new Set<string>();
  for (const { name } of reverted) {
    const vm = (await readSpecs(prefix.paths)).vms.find((one) => one.name === name);
    const then = vm === undefined ? undefined : await readJson(keptDefinition(prefix, snapshot.name, vm), VmSpec);
    if (vm === undefined || then === undefined) continue;
    const { balloon: _, ...rest } = vm;
    const { nics, memory, balloon } = then;
    // Those of layers are on new ones already.
    const { disks } = snapshot.kind === 'layers' ? vm : then;
    for (const { ip } of nics) if (ip !== undefined && vm.nics.every((nic) => nic.ip !== ip)) back.add(ip);
    await writeJson(prefix.paths.vm(name), { ...rest, disks, nics, memory, ...(balloon === undefined ? {} : { balloon }) });
  }
  const written = await readSpecs(prefix.paths);
  let nets = withoutStaleNames(written);
  for (const vm of written.vms) {
    for (const [card, { net: name, ip }] of vm.nics.entries()) {
      const net = nets.find((one) => one.name === name);
      if (net !== undefined && ip !== undefined && back.has(ip)) nets = withNames({ ...written, nets }, { vm, card, net, ip });
    }
  }
  for (const net of nets) if (!written.nets.includes(net)) await writeJson(prefix.paths.net(net.name), net);
  if (session !== undefined) for (const net of nets) await matchNetwork(session, { ...prefix, specs: { ...written, nets } }, net, signal);
  await sweepAddedImages(prefix);
}
