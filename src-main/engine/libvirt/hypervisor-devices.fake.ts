import { childrenXml, findXml, readXml, textXml, type XmlElement } from '../core/xml/read-xml.ts';
import { copyXml, element, printXml } from '../core/xml/write-xml.ts';
import type { NetworkSection } from './hypervisor.ts';
import { libvirtError } from './hypervisor-faults.fake.ts';
import { identityOf } from './xml/device-xml.ts';

export type DeviceChange = 'attach' | 'detach' | 'update';

const INVALID_ARGUMENT = 8;
const KIB: Readonly<Record<string, number>> = { KiB: 1, MiB: 1024, GiB: 1024 * 1024 };

function devicesOf(xml: string, kind: string): readonly XmlElement[] {
  const devices = findXml(readXml(xml), 'devices');
  return devices === undefined ? [] : childrenXml(devices, kind);
}

/** Target names of the disks. */
export function disksOf(xml: string): readonly string[] {
  return devicesOf(xml, 'disk').map((disk) => findXml(disk, 'target')?.attributes.get('dev') ?? '');
}

/** Files of the disks by target name. */
export function diskFilesOf(xml: string): ReadonlyMap<string, string> {
  return new Map(
    devicesOf(xml, 'disk').flatMap((disk) => {
      const file = findXml(disk, 'source')?.attributes.get('file');
      return file === undefined ? [] : [[findXml(disk, 'target')?.attributes.get('dev') ?? '', file] as const];
    }),
  );
}

/** The domain with these disks on other files, which are layers. */
export function withLayers(xml: string, files: ReadonlyMap<string, string>): string {
  const rewrite = (node: XmlElement, file?: string): ReturnType<typeof element> => {
    const layer = node.name === 'disk' ? files.get(findXml(node, 'target')?.attributes.get('dev') ?? '') : undefined;
    const attributes = Object.fromEntries(node.attributes);
    if (file !== undefined && node.name === 'source') return element('source', { ...attributes, file });
    if (file !== undefined && node.name === 'driver') return element('driver', { ...attributes, type: 'qcow2' });
    const text = node.text.trim();
    return element(node.name, attributes, ...(text === '' ? node.children.map((child) => rewrite(child, layer)) : [text]));
  };
  return printXml(rewrite(readXml(xml)));
}

export function nicsOf(xml: string): readonly { readonly mac: string | undefined }[] {
  return devicesOf(xml, 'interface').map((nic) => ({ mac: findXml(nic, 'mac')?.attributes.get('address') }));
}

/** Memory in KiB, and virtual CPUs. */
export function memoryOf(xml: string): { readonly current: number; readonly maximum: number; readonly vcpus: number } {
  const domain = readXml(xml);
  const amount = (name: string): number | undefined => {
    const found = findXml(domain, name);
    return found === undefined ? undefined : Number(found.text.trim()) * (KIB[found.attributes.get('unit') ?? 'KiB'] ?? 1);
  };
  const maximum = amount('memory') ?? 0;
  return { maximum, current: amount('currentMemory') ?? maximum, vcpus: Number(textXml(domain, 'vcpu') ?? 1) };
}

/** The domain with its balloon at this size. */
export function withMemory(xml: string, memoryKiB: number): string {
  if (memoryKiB > memoryOf(xml).maximum) throw libvirtError('cannot set memory higher than max memory', INVALID_ARGUMENT);
  const domain = readXml(xml);
  const kept = domain.children.filter((child) => child.name !== 'currentMemory').map(copyXml);
  const current = element('currentMemory', { unit: 'KiB' }, String(memoryKiB));
  return printXml(element(domain.name, Object.fromEntries(domain.attributes), ...kept, current));
}

/** The domain with a device more, less or different; refused as libvirt would. */
export function changeDeviceXml(xml: string, change: DeviceChange, deviceXml: string): string {
  const device = readXml(deviceXml, { what: 'The description of a device' });
  const identity = identityOf(device);
  const domain = readXml(xml);
  const devices = findXml(domain, 'devices');
  const isIt = (other: XmlElement): boolean => other.name === device.name && identity !== undefined && identityOf(other) === identity;
  const known = devices?.children.some(isIt) === true;
  if (change === 'attach' && known) throw libvirtError(`Adding a device failed: ${identity ?? ''} already exists`, INVALID_ARGUMENT);
  if (change !== 'attach' && !known) throw libvirtError(`Changing a device failed: no such device`, INVALID_ARGUMENT);
  const others = (devices?.children ?? []).filter((other) => !isIt(other)).map(copyXml);
  const kept = domain.children.filter((child) => child !== devices).map(copyXml);
  const changed = element('devices', {}, ...others, change !== 'detach' && copyXml(device));
  return printXml(element(domain.name, Object.fromEntries(domain.attributes), ...kept, changed));
}

export interface NetworkChange {
  readonly command: 'add' | 'modify' | 'delete';
  readonly section: NetworkSection;
  readonly xml: string;
}

/** The network with an entry of its DHCP or DNS server more or less, where libvirt would put it; refused as libvirt would. */
export function changeNetworkXml(xml: string, { command, section, xml: entryXml }: NetworkChange): string {
  const entry = readXml(entryXml);
  const [place, kind] = section.split(' ');
  const family = (node: XmlElement): boolean => node.name !== 'ip' || (node.attributes.get('family') === 'ipv6') === isIpv6(entry);
  let found = 0;
  const rewrite = (node: XmlElement): ReturnType<typeof element> => {
    const here = node.name === place;
    const kept = node.children.filter((child) => {
      const same = here && child.name === kind && printXml(copyXml(child)) === printXml(copyXml(entry));
      if (same) found += 1;
      return command !== 'delete' || !same;
    });
    const parts = kept.map((child) => (family(child) ? rewrite(child) : copyXml(child)));
    const text = node.text.trim();
    return element(
      node.name,
      Object.fromEntries(node.attributes),
      ...(text === '' ? parts : [text]),
      here && command === 'add' && copyXml(entry),
    );
  };
  const network = readXml(xml);
  // libvirt makes the part that the entry belongs to.
  const whole = command === 'add' && place === 'dns' && findXml(network, 'dns') === undefined ? withPart(network, 'dns') : network;
  const changed = printXml(rewrite(whole));
  if (found > 0 !== (command !== 'add')) throw libvirtError(`Changing a network failed: no or another such ${section}`, INVALID_ARGUMENT);
  return changed;
}

function withPart(network: XmlElement, name: string): XmlElement {
  return { ...network, children: [...network.children, readXml(`<${name}/>`)] };
}

function isIpv6(entry: XmlElement): boolean {
  return entry.attributes.get('ip')?.includes(':') === true;
}
