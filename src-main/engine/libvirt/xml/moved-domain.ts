import { findXml, type XmlElement as ReadElement, readXml } from '../../core/xml/read-xml.ts';
import { copyXml, element, printXml, type XmlElement } from '../../core/xml/write-xml.ts';

/** What differs between a domain whose memory was kept and the one that goes on from it. */
export interface DomainMove {
  readonly name: string;
  readonly uuid: string;
  /** Target of a disk (`vda`) → its file; one that ends in `.qcow2` is of that format. Other disks keep theirs. */
  readonly disks: ReadonlyMap<string, string>;
  /** Beginnings of values that are different now: folders of the prefix and of its host, names of networks. */
  readonly instead: readonly (readonly [before: string, now: string])[];
}

/**
 * A domain's migratable description for another place, with the same devices at the same addresses. What libvirt found out about the
 * layers below a disk is left out, since it finds it out again, and so is the path of QEMU, which is its choice.
 */
export function movedDomainXml(xml: string, move: DomainMove): string {
  const domain = readXml(xml);
  const parts = domain.children.map((child) => {
    if (child.name === 'name') return element('name', {}, move.name);
    if (child.name === 'uuid') return element('uuid', {}, move.uuid);
    if (child.name !== 'devices') return replaced(copyXml(child), move);
    return element(
      'devices',
      {},
      ...child.children
        .filter((device) => device.name !== 'emulator')
        .map((device) => replaced(device.name === 'disk' ? movedDisk(device, move) : copyXml(device), move)),
    );
  });
  return printXml(element('domain', Object.fromEntries(domain.attributes), ...parts));
}

function movedDisk(disk: ReadElement, { disks }: DomainMove): XmlElement {
  const file = disks.get(findXml(disk, 'target')?.attributes.get('dev') ?? '');
  const children = disk.children
    .filter((child) => child.name !== 'backingStore')
    .map((child) => {
      if (file === undefined) return copyXml(child);
      if (child.name === 'source') return element('source', { file });
      if (child.name === 'driver' && file.endsWith('.qcow2'))
        return element('driver', { ...Object.fromEntries(child.attributes), type: 'qcow2' });
      return copyXml(child);
    });
  return element('disk', Object.fromEntries(disk.attributes), ...children);
}

function replaced(node: XmlElement, move: DomainMove): XmlElement {
  const change = (value: string): string => {
    const found = move.instead.find(([before]) => value.startsWith(before));
    return found === undefined ? value : found[1] + value.slice(found[0].length);
  };
  return {
    name: node.name,
    attributes: Object.fromEntries(Object.entries(node.attributes).map(([name, value]) => [name, change(value)])),
    children: node.children.map((child) => (typeof child === 'string' ? change(child) : replaced(child, move))),
  };
}
