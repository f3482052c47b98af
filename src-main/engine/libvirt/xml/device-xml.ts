import { EngineError } from '../../../../src-shared/errors.ts';
import { childrenXml, findXml, readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { copyXml, element, printXml } from '../../core/xml/write-xml.ts';

/** What identifies a device: the MAC address of a NIC, the target of a disk, else libvirt's alias. */
export function identityOf(device: XmlElement): string | undefined {
  const mac = findXml(device, 'mac')?.attributes.get('address')?.toLowerCase();
  return mac ?? findXml(device, 'target')?.attributes.get('dev') ?? findXml(device, 'alias')?.attributes.get('name');
}

/** Whether libvirt's description is of a running domain. */
export function isActiveXml(domainXml: string): boolean {
  return readXml(domainXml).attributes.has('id');
}

/** libvirt's name of the running domain's device that the XML describes; undefined when there is no such device. */
export function aliasOfDevice(domainXml: string, deviceXml: string): string | undefined {
  const wanted = readXml(deviceXml, { what: 'The description of a device', code: 'input.invalid' });
  const identity = identityOf(wanted);
  if (identity === undefined) return undefined;
  const devices = findXml(readXml(domainXml), 'devices');
  const found = devices === undefined ? [] : childrenXml(devices, wanted.name).filter((device) => identityOf(device) === identity);
  return found[0] === undefined ? undefined : findXml(found[0], 'alias')?.attributes.get('name');
}

/** Whether the domain has a device with this alias. */
export function hasAlias(domainXml: string, alias: string): boolean {
  const devices = findXml(readXml(domainXml), 'devices');
  return devices?.children.some((device) => findXml(device, 'alias')?.attributes.get('name') === alias) ?? false;
}

/** The domain's NIC with this MAC address, complete, with its link up or down. `input.invalid` if there is none. */
export function nicWithLink(domainXml: string, mac: string, link: 'up' | 'down'): string {
  const devices = findXml(readXml(domainXml), 'devices');
  const nics = devices === undefined ? [] : childrenXml(devices, 'interface');
  const nic = nics.find((one) => identityOf(one) === mac.toLowerCase());
  if (nic === undefined) throw new EngineError('input.invalid', `The VM has no NIC with the MAC address ${mac}.`);
  const kept = nic.children.filter((child) => child.name !== 'link').map(copyXml);
  return printXml(element(nic.name, Object.fromEntries(nic.attributes), ...kept, element('link', { state: link })));
}

/** The request for a new layer on each of these disks, and on no other disk of the domain. */
export function layersXml(domainXml: string, layers: readonly { readonly disk: string; readonly path: string }[]): string {
  const devices = findXml(readXml(domainXml), 'devices');
  const disks = (devices === undefined ? [] : childrenXml(devices, 'disk')).flatMap((disk) => identityOf(disk) ?? []);
  const unknown = layers.find(({ disk }) => !disks.includes(disk));
  if (unknown !== undefined) throw new EngineError('input.invalid', `The VM has no disk ${unknown.disk}.`);
  const entries = disks.map((name) => {
    const layer = layers.find(({ disk }) => disk === name);
    if (layer === undefined) return element('disk', { name, snapshot: 'no' });
    return element('disk', { name, snapshot: 'external' }, element('source', { file: layer.path }));
  });
  return printXml(element('domainsnapshot', {}, element('disks', {}, ...entries)));
}
