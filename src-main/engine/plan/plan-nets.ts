import { isPrivate, lastOctet, octetsOf, sameSubnet, subnetOf, withLastOctet } from '../../../src-shared/addresses.ts';
import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import { unknownNet } from '../../../src-shared/init-file/review.ts';
import type { DomainDefinition, NetDefinition } from '../../../src-shared/init-file/schema.ts';
import type { NetSpec, NicSpec } from '../../../src-shared/specs.ts';
import { nicNames } from '../net/names.ts';
import { isLeasable, lowestFreeOctet } from '../net/subnets.ts';
import type { IssueList, PlanContext } from './plan-context.ts';

const DEFAULT_DOMAIN = 'lago.local';

/** A network being planned; becomes a `NetSpec`. */
interface NetDraft {
  readonly name: string;
  readonly definition: NetDefinition;
  readonly type: 'nat' | 'bridge';
  readonly management: boolean;
  gw: string | undefined;
  readonly dhcp: { readonly start: number; readonly end: number } | undefined;
  readonly mapping: Map<string, string>;
  /** Last octets in use → their owners. */
  readonly used: Map<number, string>;
}

export interface PlannedNets {
  readonly nets: readonly NetSpec[];
  /** Per VM, its cards in file order. */
  readonly nics: ReadonlyMap<string, readonly NicSpec[]>;
  /** Per VM that has exactly one management network. */
  readonly management: ReadonlyMap<string, string>;
}

/** Networks, addresses and names of the whole environment, by Lago 1.0's rules with its bugs fixed (docs/compatibility.md). */
export function planNets(init: InitFile, context: PlanContext, issues: IssueList): PlannedNets {
  const drafts = draftNets(init, issues);
  chooseSubnets(drafts, context, issues);
  const management = chooseManagement(init, drafts, issues);
  const addresses = takeFixedAddresses(init, drafts, issues);
  takeFreeAddresses(init, drafts, addresses, issues);
  nameAddresses(init, drafts, addresses, management, issues);
  return { nets: finishNets(init, drafts), nics: finishNics(init, drafts, addresses), management };
}

function draftNets(init: InitFile, issues: IssueList): Map<string, NetDraft> {
  const names = init.netNames;
  const marked = names.filter((name) => init.nets[name]?.management === true);
  const chosen = marked.length > 0 ? marked : [...names].sort().slice(0, 1);
  const drafts = new Map<string, NetDraft>();
  for (const name of names) {
    const definition = init.nets[name] as NetDefinition;
    const type = definition.type ?? 'nat';
    const management = chosen.includes(name);
    checkNet(name, definition, { type, management }, issues);
    const dhcp =
      type === 'nat' && definition.dhcp?.start !== undefined && definition.dhcp.end !== undefined
        ? { start: definition.dhcp.start, end: definition.dhcp.end }
        : undefined;
    drafts.set(name, { name, definition, type, management, gw: undefined, dhcp, mapping: new Map(), used: new Map() });
  }
  return drafts;
}

function checkNet(name: string, net: NetDefinition, how: { type: 'nat' | 'bridge'; management: boolean }, issues: IssueList): void {
  const { dhcp } = net;
  if (dhcp !== undefined) {
    const missing = dhcp.start === undefined ? 'start' : dhcp.end === undefined ? 'end' : undefined;
    if (missing !== undefined)
      issues.error(['nets', name, 'dhcp'], `The range of dhcp has no ${missing}.`, `Add ${missing}: with a number from 2 to 254.`);
    else if ((dhcp.start ?? 0) > (dhcp.end ?? 0))
      issues.error(['nets', name, 'dhcp'], `The range of dhcp begins at ${dhcp.start} after its end ${dhcp.end}.`);
  }
  if (how.type === 'bridge') {
    for (const key of ['gw', 'dhcp'] as const) {
      if (net[key] !== undefined)
        issues.warning(['nets', name, key], `A bridge network has no addresses of its own; ${key} has no effect.`);
    }
  }
  if (how.management) return;
  for (const key of ['dns_domain_name', 'dns_records', 'main_dns'] as const) {
    if (net[key] === undefined) continue;
    const message = `The network ${name} is not marked as management but has DNS attributes. DNS is supported only in management networks.`;
    issues.error(['nets', name, key], message, 'Set management: true on it, or remove the key.');
  }
}

/** Fixed gateways first, so that no network is leased twice. */
function chooseSubnets(drafts: ReadonlyMap<string, NetDraft>, context: PlanContext, issues: IssueList): void {
  const nat = [...drafts.values()].filter((draft) => draft.type === 'nat');
  const owners = new Map<string, string>();
  for (const draft of nat) {
    const wanted = draft.definition.gw;
    if (wanted === undefined) continue;
    const key = ['nets', draft.name, 'gw'];
    const last = lastOctet(wanted);
    if (last === 0 || last === 255) {
      issues.error(key, `${wanted} cannot be a gateway: it is the ${last === 0 ? 'network' : 'broadcast'} address of its /24.`);
      continue;
    }
    const owner = owners.get(subnetOf(wanted));
    if (owner !== undefined) {
      issues.error(
        key,
        `The networks ${owner} and ${draft.name} have the same subnet ${subnetOf(wanted)}/24.`,
        'Give one of them another gw, or none.',
      );
      continue;
    }
    owners.set(subnetOf(wanted), draft.name);
    const answer = context.lease(wanted);
    if ('problem' in answer) issues.lacking(key, answer.problem, answer.hint);
    else {
      draft.gw = answer.gateway;
      if (!isPrivate(wanted)) issues.warning(key, `${wanted} is not in a private range; VMs cannot reach the real hosts of that network.`);
      else if (!isLeasable(wanted)) {
        issues.info(
          key,
          `${subnetOf(wanted)}/24 is outside of the leased range 192.168.200.0–192.168.255.0: nothing keeps other environments of this machine off it.`,
        );
      }
    }
  }
  for (const draft of nat) {
    if (draft.definition.gw !== undefined) continue;
    const answer = context.lease();
    if ('problem' in answer) issues.lacking(['nets', draft.name], answer.problem, answer.hint);
    else draft.gw = answer.gateway;
  }
  for (const draft of nat) if (draft.gw !== undefined) draft.used.set(lastOctet(draft.gw) ?? 1, 'the gateway');
}

function chooseManagement(init: InitFile, drafts: ReadonlyMap<string, NetDraft>, issues: IssueList): Map<string, string> {
  const chosen = new Map<string, string>();
  const managed = [...drafts.values()].filter((draft) => draft.management).map((draft) => draft.name);
  for (const vm of init.domainNames) {
    const domain = init.domains[vm] as DomainDefinition;
    const nics = domain.nics ?? [];
    const found = nics.flatMap((nic) => (nic.net !== undefined && managed.includes(nic.net) ? [nic.net] : []));
    const [first] = found;
    if (first === undefined) {
      const hint = `Add a card on ${managed.join(' or ')}: nics: [{net: ${managed[0] ?? 'NAME'}}].`;
      issues.error(['domains', vm, 'nics'], `VM ${vm} has no management network, please connect it to one.`, hint);
    } else if (found.length > 1) {
      issues.error(
        ['domains', vm, 'nics'],
        `VM ${vm} has more than one management network: ${found.join(', ')}. It should have exactly one.`,
      );
    } else chosen.set(vm, first);
  }
  return chosen;
}

type Addresses = Map<string, (string | undefined)[]>;

function takeFixedAddresses(init: InitFile, drafts: ReadonlyMap<string, NetDraft>, issues: IssueList): Addresses {
  const addresses: Addresses = new Map();
  for (const vm of init.domainNames) {
    const nics = init.domains[vm]?.nics ?? [];
    addresses.set(
      vm,
      nics.map((nic, card) => {
        const path = ['domains', vm, 'nics', card];
        if (nic.net === undefined) {
          issues.error(path, 'The network card has no net.', `Add net: with one of ${init.netNames.join(', ')}.`);
          return undefined;
        }
        const net = drafts.get(nic.net);
        if (net === undefined) {
          const { message, hint } = unknownNet(nic.net, init.netNames);
          issues.error([...path, 'net'], message, hint);
          return undefined;
        }
        return nic.ip === undefined ? undefined : fixedAddress(`${vm}:nic${card}`, nic.ip, net, [...path, 'ip'], issues);
      }),
    );
  }
  return addresses;
}

function fixedAddress(
  who: string,
  wanted: string,
  net: NetDraft,
  path: readonly (string | number)[],
  issues: IssueList,
): string | undefined {
  const last = lastOctet(wanted);
  if (net.type === 'bridge') {
    if (octetsOf(wanted) !== undefined) return wanted;
    issues.error(path, `${wanted} is not an IPv4 address.`);
    return undefined;
  }
  if (net.gw === undefined || last === undefined) return undefined;
  const inside = sameSubnet(net.gw, wanted);
  if (!inside && !isLeasable(net.gw) && !wanted.startsWith('0.0.0.')) {
    issues.error(path, `${who}'s IP [${wanted}] is outside the subnet [${net.gw}].`, `Use an address of ${subnetOf(net.gw)}/24.`);
    return undefined;
  }
  const ip = withLastOctet(net.gw, last);
  if (!inside) issues.warning(path, `Only the last number of ${wanted} counts on the network ${net.name}: the address becomes ${ip}.`);
  if (last === 0 || last === 255) {
    issues.error(
      path,
      `${ip} is the ${last === 0 ? 'network' : 'broadcast'} address of ${subnetOf(net.gw)}/24.`,
      'Use a last number from 2 to 254.',
    );
    return undefined;
  }
  const owner = net.used.get(last);
  if (owner !== undefined) {
    issues.error(
      path,
      `IP ${ip} is given twice: to ${owner} and to ${who}.`,
      'Change one of the two, or leave it out to get a free address.',
    );
    return undefined;
  }
  net.used.set(last, who);
  return ip;
}

function takeFreeAddresses(init: InitFile, drafts: ReadonlyMap<string, NetDraft>, addresses: Addresses, issues: IssueList): void {
  for (const vm of init.domainNames) {
    const given = addresses.get(vm) ?? [];
    for (const [card, nic] of (init.domains[vm]?.nics ?? []).entries()) {
      const net = drafts.get(nic.net ?? '');
      if (net === undefined || net.type !== 'nat' || net.gw === undefined || nic.ip !== undefined) continue;
      const octet = lowestFreeOctet(new Set(net.used.keys()), net.dhcp);
      if (octet === undefined) {
        issues.error(
          ['domains', vm, 'nics', card],
          `The network ${net.name} has no free address left; it has 253 at most.`,
          'Use a second network.',
        );
        continue;
      }
      net.used.set(octet, `${vm}:nic${card}`);
      given[card] = withLastOctet(net.gw, octet);
    }
  }
}

function nameAddresses(
  init: InitFile,
  drafts: ReadonlyMap<string, NetDraft>,
  addresses: Addresses,
  management: ReadonlyMap<string, string>,
  issues: IssueList,
): void {
  for (const vm of init.domainNames) {
    const counts = new Map<string, number>();
    for (const [card, nic] of (init.domains[vm]?.nics ?? []).entries()) {
      const net = drafts.get(nic.net ?? '');
      if (net === undefined) continue;
      const count = counts.get(net.name) ?? 0;
      counts.set(net.name, count + 1);
      const ip = addresses.get(vm)?.[card];
      if (ip === undefined) continue;
      for (const name of nicNames(vm, card, net.name, count, management.get(vm) === net.name)) {
        const other = net.mapping.get(name);
        if (other === undefined) net.mapping.set(name, ip);
        else if (other !== ip)
          issues.warning(['domains', vm, 'nics', card], `The host name ${name} already means ${other}; it does not mean ${ip} too.`);
      }
    }
  }
}

function finishNets(init: InitFile, drafts: ReadonlyMap<string, NetDraft>): NetSpec[] {
  const all = [...drafts.values()];
  // With several management networks the alphabetically last one resolves names for the others, as in Lago.
  const answering = all
    .filter((draft) => draft.management)
    .map((draft) => draft.name)
    .sort()
    .at(-1);
  const forward = drafts.get(answering ?? '')?.gw;
  const names = Object.fromEntries(all.flatMap((draft) => [...draft.mapping]));
  return init.netNames.map((name) => {
    const draft = drafts.get(name) as NetDraft;
    const { gw: _, dhcp: __, ...kept } = draft.definition;
    return {
      ...kept,
      ...(draft.dhcp === undefined ? {} : { dhcp: draft.dhcp }),
      ...(draft.management
        ? {
            dns_domain_name: draft.definition.dns_domain_name ?? DEFAULT_DOMAIN,
            dns_records: { ...draft.definition.dns_records, ...names },
          }
        : {}),
      type: draft.type,
      management: draft.management,
      name,
      mapping: Object.fromEntries(draft.mapping),
      ...(draft.gw === undefined ? {} : { gw: draft.gw }),
      ...(draft.management || forward === undefined ? {} : { dns_forward: forward }),
    } as NetSpec;
  });
}

function finishNics(init: InitFile, drafts: ReadonlyMap<string, NetDraft>, addresses: Addresses): Map<string, NicSpec[]> {
  return new Map(
    init.domainNames.map((vm) => [
      vm,
      (init.domains[vm]?.nics ?? []).flatMap((nic, card): NicSpec[] => {
        const net = drafts.get(nic.net ?? '');
        if (net === undefined) return [];
        const ip = addresses.get(vm)?.[card];
        const mtu = net.definition.mtu;
        const { ip: _, ...kept } = nic;
        return [
          { ...kept, net: net.name, ...(ip === undefined ? {} : { ip }), ...(mtu === undefined || mtu === 1500 ? {} : { mtu }) } as NicSpec,
        ];
      }),
    ]),
  );
}
