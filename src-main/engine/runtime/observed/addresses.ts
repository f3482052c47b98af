import { octetsOf } from '../../../../src-shared/addresses.ts';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { AddressSource } from '../../../../src-shared/state.ts';
import type { Log } from '../../core/log.ts';
import { nicMac } from '../../libvirt/xml/domain-xml.ts';
import { networkName } from '../../libvirt/xml/network-xml.ts';
import { domainName, type Prefix } from '../../prefix/prefix.ts';
import type { HostSession } from '../session.ts';
import type { ObservedAddress } from './state.ts';

interface Found {
  readonly mac: string;
  readonly ip: string;
}

/** Time for a guest agent to answer. */
const AGENT_MS = 3000;

/**
 * The IPv4 addresses of a running VM's cards: from its guest agent, the DHCP servers and the host's neighbours (ARP), in this order of trust;
 * each address once. A source that cannot be asked has none.
 */
export async function observedAddresses(
  session: HostSession,
  prefix: Prefix,
  vm: VmSpec,
  log: Log,
  signal: AbortSignal,
): Promise<readonly ObservedAddress[]> {
  const sources: readonly (readonly [AddressSource, () => Promise<readonly Found[]>])[] = [
    ['agent', async () => await fromAgent(session, domainName(prefix.uuid, vm.name), signal)],
    ['lease', async () => await fromLeases(session, prefix, vm, signal)],
    ['arp', async () => await fromNeighbours(session, signal)],
  ];
  const answers = await Promise.all(sources.map(async ([source, ask]) => ({ source, found: await orNone(ask, log) })));
  const macs = vm.nics.map((nic, index) => nicMac(prefix.uuid, vm.name, index, nic).toLowerCase());
  const seen = new Map<string, ObservedAddress>();
  for (const { source, found } of answers) {
    for (const { mac, ip } of found) {
      const nic = macs.indexOf(mac.toLowerCase());
      const key = `${nic} ${ip}`;
      if (nic >= 0 && octetsOf(ip) !== undefined && !seen.has(key)) seen.set(key, { nic, ip, source });
    }
  }
  return [...seen.values()].sort((one, other) => one.nic - other.nic);
}

async function orNone(ask: () => Promise<readonly Found[]>, log: Log): Promise<readonly Found[]> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    log.debug(error.message);
    return [];
  }
}

async function fromAgent({ hypervisor }: HostSession, domain: string, signal: AbortSignal): Promise<readonly Found[]> {
  const cards = await hypervisor.interfaceAddresses(domain, 'agent', { signal, timeoutMs: AGENT_MS });
  return cards.flatMap(({ mac, addresses }) => (mac === undefined ? [] : addresses.map(({ ip }) => ({ mac, ip }))));
}

async function fromLeases({ hypervisor }: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal): Promise<readonly Found[]> {
  const networks = new Set(vm.nics.map(({ net }) => net));
  const served = prefix.specs.nets.filter(({ name, dhcp }) => dhcp !== undefined && networks.has(name));
  return (
    await Promise.all(served.map(async ({ name }) => await hypervisor.networkLeases(networkName(prefix.uuid, name), { signal })))
  ).flat();
}

async function fromNeighbours({ host }: HostSession, signal: AbortSignal): Promise<readonly Found[]> {
  const { stdout } = await host.run(['ip', '-4', 'neigh', 'show'], { signal });
  return stdout.split('\n').flatMap((line) => {
    const [, ip, mac] = /^(\S+) dev \S+ lladdr (\S+) (?!FAILED|INCOMPLETE)/.exec(line) ?? [];
    return ip === undefined || mac === undefined ? [] : [{ mac, ip }];
  });
}
