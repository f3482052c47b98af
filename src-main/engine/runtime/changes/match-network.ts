import type { NetSpec } from '../../../../src-shared/specs.ts';
import { childrenXml, findXml, readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { copyXml, printXml } from '../../core/xml/write-xml.ts';
import type { NetworkSection } from '../../libvirt/hypervisor.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { describeNetwork } from '../realize.ts';
import type { HostSession } from '../session.ts';

/** A DHCP reservation or DNS name. */
interface Entry {
  readonly section: NetworkSection;
  /** The `<ip>` element that a reservation is in. */
  readonly subnet?: number;
  readonly host: XmlElement;
}

function entriesOf(network: XmlElement): ReadonlyMap<string, Entry> {
  const reserved = childrenXml(network, 'ip').flatMap((ip, subnet) =>
    hostsIn(findXml(ip, 'dhcp')).map((host): Entry => ({ section: 'dhcp host', subnet, host })),
  );
  const named = hostsIn(findXml(network, 'dns')).map((host): Entry => ({ section: 'dns host', host }));
  return new Map([...reserved, ...named].map((entry) => [`${entry.section} ${keyOf(entry.host)}`, entry]));
}

function hostsIn(server: XmlElement | undefined): readonly XmlElement[] {
  return server === undefined ? [] : childrenXml(server, 'host');
}

/**
 * Makes the DHCP reservations and DNS names of a network that is up those of the prefix, without interrupting it. Does nothing to one that
 * is down: its next start has them.
 */
export async function matchNetwork(session: HostSession, prefix: Prefix, net: NetSpec, signal: AbortSignal): Promise<void> {
  const name = networkName(prefix.uuid, net.name);
  const { hypervisor } = session;
  if (net.type === 'bridge' || (await hypervisor.findNetwork(name, { signal }))?.active !== true) return;
  const before = entriesOf(readXml(await hypervisor.networkXml(name, { signal })));
  const after = entriesOf(readXml(describeNetwork(session, prefix, net)));
  // First what goes: libvirt refuses an entry that shares an address or a name with another.
  for (const [key, entry] of before) if (!after.has(key)) await update('delete', entry);
  for (const [key, entry] of after) if (!before.has(key)) await update('add', entry);

  async function update(command: 'add' | 'delete', { section, subnet, host }: Entry): Promise<void> {
    const change = { command, section, xml: printXml(copyXml(host)), subnet };
    await hypervisor.updateNetwork(name, change, { live: true, config: true }, { signal });
  }
}

/** Equal for entries that mean the same, in whatever order they are written. */
function keyOf(host: XmlElement): string {
  const attributes = [...host.attributes].map(([name, value]) => `${name}=${name === 'ip' ? plainAddress(value) : value.toLowerCase()}`);
  const names = childrenXml(host, 'hostname').map(({ text }) => text.trim());
  return [...attributes.sort(), ...names.sort()].join(' ');
}

/** An IPv6 address can be written in several ways; URLs have one. */
function plainAddress(ip: string): string {
  return ip.includes(':') ? new URL(`http://[${ip}]/`).hostname : ip;
}
