import { macOf, octetsOf, sameSubnet, ulaPrefixOf, withLastOctet } from '../../../../src-shared/addresses.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { NetSpec } from '../../../../src-shared/specs.ts';
import { element, printXml, type XmlChild, type XmlElement } from '../../core/xml/write-xml.ts';
import { bridgeName, networkName } from '../names.ts';
import { ownerXml } from './domain-xml.ts';

export { bridgeName, networkName } from '../names.ts';

const DNSMASQ_NAMESPACE = 'http://libvirt.org/schemas/network/dnsmasq/1.0';

export interface NetworkContext {
  /** The prefix's uuid, 32 hex digits. */
  readonly prefixUuid: string;
  /** The network's own uuid; libvirt generates one if absent. */
  readonly uuid?: string | undefined;
  /** dnsmasq keeps running as root with an empty group: needed when only uid 0 is mapped. */
  readonly dnsmasqAsRoot?: boolean | undefined;
  /** File for dnsmasq's messages; by default they go to the system's log. */
  readonly dnsmasqLog?: string | undefined;
}

/**
 * The network's XML: NAT with fixed DHCP leases, names and a unique local IPv6 network, or a bare bridge. libvirt before 9.7 ignores a
 * network's <metadata>; there its name and uuid identify it.
 */
export function networkXml(net: NetSpec, context: NetworkContext): string {
  const head: XmlChild[] = [
    element('name', {}, networkName(context.prefixUuid, net.name)),
    context.uuid !== undefined && element('uuid', {}, context.uuid),
    ownerXml(context.prefixUuid, net.name),
  ];
  if (net.type === 'bridge') {
    return printXml(
      element(
        'network',
        {},
        ...head,
        element('forward', { mode: 'bridge' }),
        element('bridge', { name: bridgeName(context.prefixUuid, net) }),
      ),
    );
  }
  const { gw } = net;
  if (gw === undefined || octetsOf(gw) === undefined) throw new EngineError('input.invalid', `The network ${net.name} has no gateway.`);
  // A bridge with spanning tree blocks traffic for seconds after each start; one without loops does not need it.
  const bridge = { name: bridgeName(context.prefixUuid, net), stp: 'off', delay: 0 };
  const leases = net.dhcp === undefined ? [] : reservations(net);
  const options = [
    ...(context.dnsmasqAsRoot === true ? ['user=root', 'group='] : []),
    ...(context.dnsmasqLog === undefined ? [] : [`log-facility=${context.dnsmasqLog}`]),
  ];
  return printXml(
    element(
      'network',
      options.length > 0 ? { 'xmlns:dnsmasq': DNSMASQ_NAMESPACE } : {},
      ...head,
      element('forward', { mode: 'nat' }, element('nat', {}, element('port', { start: 1024, end: 65535 }))),
      element('bridge', bridge),
      net.mtu !== undefined && net.mtu !== 1500 && element('mtu', { size: net.mtu }),
      element('ip', { address: gw, netmask: '255.255.255.0' }, dhcpXml(net, gw, leases, 4)),
      element('ip', { family: 'ipv6', address: `${ulaPrefixOf(gw)}1`, prefix: 64 }, dhcpXml(net, gw, leases, 6)),
      net.management && net.dns_domain_name !== undefined && element('domain', { name: net.dns_domain_name, localOnly: 'yes' }),
      net.management
        ? element('dns', { forwardPlainNames: 'no' }, ...dnsHosts(net.dns_records ?? {}, gw))
        : element('dns', { enable: 'no' }),
      options.length > 0 && element('dnsmasq:options', {}, ...options.map((value) => element('dnsmasq:option', { value }))),
    ),
  );
}

interface Reservation {
  readonly ip: string;
  readonly name: string;
}

/** One reservation per address, under the alphabetically first of its names. */
function reservations(net: NetSpec): readonly Reservation[] {
  const byIp = new Map<string, string>();
  for (const name of Object.keys(net.mapping).sort()) {
    const ip = net.mapping[name];
    if (ip !== undefined && octetsOf(ip) !== undefined && !byIp.has(ip)) byIp.set(ip, name);
  }
  return [...byIp].map(([ip, name]) => ({ ip, name }));
}

function dhcpXml(net: NetSpec, gw: string, leases: readonly Reservation[], version: 4 | 6): XmlElement | undefined {
  if (net.dhcp === undefined) return undefined;
  const written = (ip: string): string => (version === 4 ? ip : `${ulaPrefixOf(gw)}${ip}`);
  return element(
    'dhcp',
    {},
    element('range', { start: written(withLastOctet(gw, net.dhcp.start)), end: written(withLastOctet(gw, net.dhcp.end)) }),
    ...leases.map(({ ip, name }) =>
      element('host', {
        ...(version === 4 ? { mac: macOf(ip) } : { id: `0:3:0:1:${macOf(ip)}` }),
        ip: written(ip),
        name: isDhcpName(name) ? name : undefined,
      }),
    ),
  );
}

/** libvirt rejects a whole network if a host name does not begin with a letter or digit (`__ENGINE__`). */
function isDhcpName(name: string): boolean {
  return /^[A-Za-z0-9]/.test(name);
}

function dnsHosts(records: Readonly<Record<string, string>>, gw: string): readonly XmlElement[] {
  const byIp = new Map<string, string[]>();
  for (const [name, ip] of Object.entries(records)) {
    const names = byIp.get(ip);
    if (names === undefined) byIp.set(ip, [name]);
    else names.push(name);
  }
  return [...byIp].flatMap(([ip, names]) => {
    const hostnames = names.toSorted().map((name) => element('hostname', {}, name));
    const addresses = sameSubnet(gw, ip) ? [ip, `${ulaPrefixOf(gw)}${ip}`] : [ip];
    return addresses.map((address) => element('host', { ip: address }, ...hostnames));
  });
}
