import type { NetSpec } from '../../../../src-shared/specs.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import { dnsmasqPidFile } from '../../net/dnsmasq.ts';
import type { HostSession } from '../session.ts';

/** Whether libvirt runs a DHCP and DNS server (dnsmasq) for a network. */
export function hasServer(net: NetSpec): boolean {
  return net.type !== 'bridge' && (net.management || net.dhcp !== undefined);
}

/** Whether the DHCP and DNS server of a network that is up has died; libvirt does not notice that. Cheap enough to be asked often. */
export function serverIsGone(session: HostSession, prefixUuid: string, net: NetSpec): boolean {
  return hasServer(net) && session.host.daemonLives?.(dnsmasqPidFile(networkName(prefixUuid, net.name))) === false;
}
