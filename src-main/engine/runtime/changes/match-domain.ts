import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Log } from '../../core/log.ts';
import { UndoStack } from '../../core/undo.ts';
import { childrenXml, findXml, readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { copyXml, element, printXml } from '../../core/xml/write-xml.ts';
import { identityOf } from '../../libvirt/xml/device-xml.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import { describeDomain, realizeNetwork } from '../realize.ts';
import type { HostSession } from '../session.ts';
import { matchNetwork } from './match-network.ts';

const KIB_PER_MIB = 1024;

/**
 * Makes a running VM, and the networks of its environment, what the prefix says: devices that it lacks are added, those that it should not
 * have are removed, and media, links and memory are set. What is right already is left alone, so it can be repeated at any point. A VM that
 * is off gets its next start's devices from the prefix anyway. Returns sentences about what has to wait for that start.
 */
export async function matchVm(
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  { signal, log }: { readonly signal: AbortSignal; readonly log: Log },
): Promise<readonly string[]> {
  const { hypervisor } = session;
  const name = domainName(prefix.uuid, vm.name);
  const live = await hypervisor.findDomain(name, { signal });
  if (live === undefined || live.id < 0) {
    for (const net of prefix.specs.nets) await matchNetwork(session, prefix, net, signal);
    return [];
  }
  // A network that no VM needed until now may be down.
  await using undo = new UndoStack(log);
  for (const net of netsOf(prefix, vm)) await realizeNetwork(session, prefix, net, signal, undo);
  for (const net of prefix.specs.nets) await matchNetwork(session, prefix, net, signal);
  const now = devicesOf(await hypervisor.domainXml(name, {}, { signal }));
  const wanted = devicesOf(await describeDomain(session, prefix, vm, signal));
  const notes = [...(await matchDisks(session, name, now, wanted, signal))];
  await matchNics(session, name, now, wanted, signal);
  await matchMemory(session, name, vm, signal);
  undo.commit();
  return notes;
}

function netsOf(prefix: Prefix, vm: VmSpec): Prefix['specs']['nets'] {
  return prefix.specs.nets.filter((net) => vm.nics.some((nic) => nic.net === net.name));
}

function devicesOf(domainXml: string): XmlElement {
  const devices = findXml(readXml(domainXml), 'devices');
  return devices ?? readXml('<devices/>');
}

function byIdentity(devices: XmlElement, kind: string): ReadonlyMap<string, XmlElement> {
  return new Map(childrenXml(devices, kind).flatMap((device) => [[identityOf(device) ?? '', device] as const]));
}

async function matchDisks(
  session: HostSession,
  name: string,
  now: XmlElement,
  wanted: XmlElement,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const { hypervisor } = session;
  const before = byIdentity(now, 'disk');
  const after = byIdentity(wanted, 'disk');
  const notes: string[] = [];
  for (const [dev, disk] of before) {
    const then = after.get(dev);
    if (isCd(disk) && then !== undefined && isCd(then)) {
      if (sourceOf(disk) !== sourceOf(then)) await hypervisor.updateDevice(name, withMedium(disk, then), { live: true }, { signal });
    } else if (then === undefined || sourceOf(disk) !== sourceOf(then)) {
      if (isIde(disk)) notes.push(`The IDE drive ${dev} stays until the VM is stopped.`);
      else await hypervisor.detachDevice(name, printXml(copyXml(disk)), { live: true }, { signal });
    }
  }
  for (const [dev, disk] of after) {
    const there = before.get(dev);
    if (there !== undefined && (sourceOf(there) === sourceOf(disk) || isIde(disk))) continue;
    if (isIde(disk)) {
      notes.push(`The VM has the drive ${dev} from its next start on: IDE drives cannot be added while it runs.`);
      continue;
    }
    await requireController(session, name, now, wanted, disk, signal);
    await hypervisor.attachDevice(name, printXml(without(disk, 'boot')), { live: true }, { signal });
  }
  return notes;
}

/** A SCSI disk needs the controller that the definition has with it; libvirt's own choice would be another model. */
async function requireController(
  session: HostSession,
  name: string,
  now: XmlElement,
  wanted: XmlElement,
  disk: XmlElement,
  signal: AbortSignal,
): Promise<void> {
  const isScsi = (device: XmlElement): boolean => device.attributes.get('type') === 'scsi';
  if (findXml(disk, 'target')?.attributes.get('bus') !== 'scsi' || childrenXml(now, 'controller').some(isScsi)) return;
  const controller = childrenXml(wanted, 'controller').find(isScsi);
  if (controller !== undefined)
    await session.hypervisor.attachDevice(name, printXml(copyXml(controller)), { live: true }, { signal }).catch((error: unknown) => {
      // A second disk of the same change has added it already.
      if (!/already exists/.test(String(error))) throw error;
    });
}

async function matchNics(session: HostSession, name: string, now: XmlElement, wanted: XmlElement, signal: AbortSignal): Promise<void> {
  const { hypervisor } = session;
  const before = byIdentity(now, 'interface');
  const after = byIdentity(wanted, 'interface');
  for (const [mac, nic] of before) {
    if (!after.has(mac)) await hypervisor.detachDevice(name, printXml(copyXml(nic)), { live: true }, { signal });
  }
  for (const [mac, nic] of after) {
    const there = before.get(mac);
    if (there === undefined) await hypervisor.attachDevice(name, printXml(copyXml(nic)), { live: true }, { signal });
    else if (linkOf(there) !== linkOf(nic)) await hypervisor.setLink(name, mac, linkOf(nic), { live: true }, { signal });
  }
}

async function matchMemory(session: HostSession, name: string, vm: VmSpec, signal: AbortSignal): Promise<void> {
  const { memoryKiB, maximumMemoryKiB } = await session.hypervisor.domainInfo(name, { signal });
  // It may have been started with less than the definition has now.
  const target = Math.min((vm.balloon ?? vm.memory) * KIB_PER_MIB, maximumMemoryKiB);
  if (memoryKiB !== target) await session.hypervisor.setMemory(name, target, { live: true }, { signal });
}

function isCd(disk: XmlElement): boolean {
  return disk.attributes.get('device') === 'cdrom';
}

function isIde(disk: XmlElement): boolean {
  return findXml(disk, 'target')?.attributes.get('bus') === 'ide';
}

function sourceOf(disk: XmlElement): string | undefined {
  return findXml(disk, 'source')?.attributes.get('file');
}

function linkOf(nic: XmlElement): 'up' | 'down' {
  return findXml(nic, 'link')?.attributes.get('state') === 'down' ? 'down' : 'up';
}

/** Two running devices cannot have the same place in the boot order, and a disk that is added is not booted from before the next start. */
function without(device: XmlElement, child: string): ReturnType<typeof element> {
  return element(device.name, Object.fromEntries(device.attributes), ...device.children.filter(({ name }) => name !== child).map(copyXml));
}

/** The running drive with the other's medium: libvirt refuses any other difference. */
function withMedium(drive: XmlElement, other: XmlElement): string {
  const medium = findXml(other, 'source');
  const kept = drive.children.filter(({ name }) => name !== 'source' && name !== 'backingStore').map(copyXml);
  return printXml(element(drive.name, Object.fromEntries(drive.attributes), ...kept, medium !== undefined && copyXml(medium)));
}
