import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import type { UndoStack } from '../core/undo.ts';
import { domainXml } from '../libvirt/xml/domain-xml.ts';
import { bridgeName, networkName, networkXml } from '../libvirt/xml/network-xml.ts';
import { createBridge, removeBridge } from '../net/bridge.ts';
import { reviveDnsmasq } from '../net/dnsmasq.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import { serialLogPath } from './console/serial-log.ts';
import { hasServer } from './observed/network-server.ts';
import { hostCpuFor } from './observed/processor.ts';
import type { HostSession } from './session.ts';

/**
 * Makes libvirt match the prefix. As in Lago, objects are defined in libvirt only while they are needed: nothing is left there when an
 * environment is down, and the prefix alone is authoritative.
 */

/** A uuid that stays the same whenever the object is defined: reverting a snapshot requires it. */
export function stableUuid(prefixUuid: string, name: string): string {
  const hex = createHash('sha256').update(`${prefixUuid}/${name}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Path of the VM's VNC socket; short whatever the VM's name (unix socket paths are limited to 108 bytes). */
export function vncSocket(socketDir: string, prefixUuid: string, vm: string): string {
  return join(socketDir, `${createHash('sha256').update(`${prefixUuid}/${vm}`).digest('hex').slice(0, 12)}.vnc`);
}

/** Defines the VM's domain with the snapshots recorded in the prefix; undone by undefining. Starts nothing. */
export async function realizeDomain(session: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal, undo: UndoStack): Promise<void> {
  const name = domainName(prefix.uuid, vm.name);
  await mkdir(prefix.paths.logs, { recursive: true });
  const xml = await describeDomain(session, prefix, vm, signal);
  undo.add(`undefine ${name}`, async (undoSignal) => await session.hypervisor.undefineDomain(name, { signal: undoSignal }));
  await session.hypervisor.defineDomain(xml, { signal });
  const known = new Set((await session.hypervisor.listSnapshots(name, { signal })).map((snapshot) => snapshot.name));
  for (const { name: snapshot, xml: description } of await keptSnapshots(prefix, vm)) {
    if (!known.has(snapshot)) {
      const current = snapshot === prefix.record?.current;
      await session.hypervisor.createSnapshot(name, description, { redefine: true, current }, { signal });
    }
  }
}

/** libvirt's description of the VM as the prefix defines it. */
export async function describeDomain(session: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<string> {
  const { host } = session;
  return domainXml(vm, {
    prefixUuid: prefix.uuid,
    prefixPath: prefix.paths.root,
    uuid: stableUuid(prefix.uuid, vm.name),
    accelerator: host.accelerator,
    hostCpu: await hostCpuFor(session, vm, signal),
    vncSocket: vncSocket(host.socketDir, prefix.uuid, vm.name),
    nets: prefix.specs.nets,
    // A system libvirt would write it as root, whose file we could not read, and where its confinement may not allow it.
    serialLog: host.kind !== 'system' ? serialLogPath(prefix.paths, vm.name) : undefined,
  });
}

/** libvirt's description of the network as the prefix defines it. */
export function describeNetwork({ host }: HostSession, prefix: Prefix, net: NetSpec): string {
  return networkXml(net, {
    prefixUuid: prefix.uuid,
    uuid: stableUuid(prefix.uuid, `net/${net.name}`),
    dnsmasqAsRoot: host.dnsmasqAsRoot,
    ...(host.kind !== 'system' ? { dnsmasqLog: prefix.paths.dhcpLog(net.name) } : {}),
  });
}

/** The snapshots of a VM, oldest first, with the XML to define them in libvirt. */
async function keptSnapshots(prefix: Prefix, vm: VmSpec): Promise<readonly { readonly name: string; readonly xml: string }[]> {
  const pending = prefix.record?.pending ?? null;
  const file = (name: string): string => join(prefix.paths.snapshots, name, `${vm.name}.xml`);
  const records = (prefix.record?.snapshots ?? []).filter(
    // libvirt knows of internal ones only. One whose deletion was interrupted near its end no longer exists in any disk.
    ({ name, kind, vms }) =>
      kind === 'internal' &&
      vms[vm.name] !== undefined &&
      (pending?.kind !== 'delete-snapshot' || pending.name !== name || existsSync(file(name))),
  );
  return await Promise.all(records.map(async ({ name }) => ({ name, xml: await readFile(file(name), 'utf8') })));
}

/** Undefines the domain; its disks and saved snapshot descriptions stay. */
export async function undefineDomain(session: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<void> {
  await session.hypervisor.undefineDomain(domainName(prefix.uuid, vm.name), { signal });
}

/** Powers the VM off and undefines it. */
export async function releaseDomain(session: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<void> {
  await session.hypervisor.destroyDomain(domainName(prefix.uuid, vm.name), { signal });
  await undefineDomain(session, prefix, vm, signal);
}

/** Defines and starts the network, with its Linux bridge if it is of that type. If it is already up, only its DHCP server is checked. */
export async function realizeNetwork(
  session: HostSession,
  prefix: Prefix,
  net: NetSpec,
  signal: AbortSignal,
  undo: UndoStack,
): Promise<void> {
  const name = networkName(prefix.uuid, net.name);
  const { hypervisor, host } = session;
  if ((await hypervisor.findNetwork(name, { signal }))?.active === true) {
    if (host.kind !== 'system' && hasServer(net)) await reviveDnsmasq(host.run, name, signal);
    return;
  }
  if (net.type === 'bridge') {
    const bridge = bridgeName(prefix.uuid, net);
    undo.add(`remove bridge ${bridge}`, async (undoSignal) => await removeBridge(host.run, bridge, undoSignal));
    await createBridge(host.run, bridge, signal);
  }
  // What it says about earlier runs of the network is of no use any more, and nothing else limits its size.
  if (host.kind === 'remote') await host.run(['rm', '-f', prefix.paths.dhcpLog(net.name)], { signal });
  else await rm(prefix.paths.dhcpLog(net.name), { force: true });
  undo.add(`undefine network ${name}`, async (undoSignal) => await hypervisor.undefineNetwork(name, { signal: undoSignal }));
  await hypervisor.defineNetwork(describeNetwork(session, prefix, net), { signal });
  undo.add(`stop network ${name}`, async (undoSignal) => await hypervisor.destroyNetwork(name, { signal: undoSignal }));
  await hypervisor.startNetwork(name, { signal });
}

/** Takes the network down and undefines it. */
export async function releaseNetwork(session: HostSession, prefix: Prefix, net: NetSpec, signal: AbortSignal): Promise<void> {
  const name = networkName(prefix.uuid, net.name);
  await session.hypervisor.destroyNetwork(name, { signal });
  await session.hypervisor.undefineNetwork(name, { signal });
  if (net.type === 'bridge') await removeBridge(session.host.run, bridgeName(prefix.uuid, net), signal);
}
