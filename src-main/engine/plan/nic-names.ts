import type { EnvironmentSpecs, NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import { nicNames } from '../net/names.ts';

/** A card of a VM that exists already. */
export interface NamedCard {
  readonly vm: VmSpec;
  /** Its place among the VM's cards. */
  readonly card: number;
  readonly net: NetSpec;
  readonly ip: string;
}

/** The networks with the names of one more card, which does not take over a name that another address has. */
export function withNames(specs: EnvironmentSpecs, { vm, card, net, ip }: NamedCard): readonly NetSpec[] {
  const before = vm.nics.slice(0, card).filter((nic) => nic.net === net.name).length;
  // The VM's own name stays with its first card on the management network.
  const names = nicNames(vm.name, card, net.name, before, vm.mgmt_net === net.name && before === 0);
  const added = Object.fromEntries(names.filter((name) => net.mapping[name] === undefined).map((name) => [name, ip]));
  return specs.nets.map((one) => ({
    ...one,
    ...(one.name === net.name ? { mapping: { ...one.mapping, ...added } } : {}),
    ...(one.management ? { dns_records: { ...added, ...one.dns_records } } : {}),
  }));
}

/** The networks without the names of cards that no VM has. Networks that have none are the same objects. */
export function withoutStaleNames({ nets, vms }: EnvironmentSpecs): readonly NetSpec[] {
  const stale = new Map<string, string>();
  for (const net of nets) {
    const used = new Set(vms.flatMap((vm) => vm.nics.flatMap((nic) => (nic.net === net.name ? (nic.ip ?? []) : []))));
    for (const [name, ip] of Object.entries(net.mapping)) if (!used.has(ip)) stale.set(name, ip);
  }
  if (stale.size === 0) return nets;
  const kept = (records: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(records).filter(([name, ip]) => stale.get(name) !== ip));
  return nets.map((net) => ({
    ...net,
    mapping: kept(net.mapping),
    ...(net.dns_records === undefined ? {} : { dns_records: kept(net.dns_records) }),
  }));
}
