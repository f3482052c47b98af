import { lastOctet, octetsOf, sameSubnet, withLastOctet } from '../../../../src-shared/addresses.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { NetSpec, NicSpec, VmSpec } from '../../../../src-shared/specs.ts';
import type { VmChange } from '../../../../src-shared/vm-change.ts';
import { nicMac } from '../../libvirt/xml/domain-xml.ts';
import { lowestFreeOctet } from '../../net/subnets.ts';
import { withNames, withoutStaleNames } from '../../plan/nic-names.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { type Edit, type EditContext, withVm } from './edit.ts';

/** Plugs or unplugs the cable of a card. */
export function setLink({ prefix, vm }: EditContext, { nic, link }: VmChange & { kind: 'link' }): Edit {
  const index = nicIndex(vm, nic);
  const nics = vm.nics.map((one, at) => (at === index ? withLink(one, link) : one));
  return { specs: withVm(prefix, vm, { nics }), notes: [] };
}

/** A card with the address, reservation and names that it would have had in the init file. */
export function addNic({ prefix, vm }: EditContext, change: VmChange & { kind: 'add-nic' }): Edit {
  const net = prefix.specs.nets.find(({ name }) => name === change.net);
  if (net === undefined) {
    throw new EngineError('input.invalid', `${prefix.name} has no network "${change.net}".`, {
      hint: `It has: ${prefix.specs.nets.map(({ name }) => name).join(', ')}.`,
    });
  }
  const ip = addressFor(prefix, net, change.ip);
  const nic: NicSpec = {
    net: net.name,
    ...(ip === undefined ? {} : { ip }),
    ...(net.mtu === undefined || net.mtu === 1500 ? {} : { mtu: net.mtu }),
  };
  const card = vm.nics.length;
  const hwaddr = freeMac(prefix, vm, nic);
  const nics = [...vm.nics, hwaddr === undefined ? nic : { ...nic, hwaddr }];
  const specs = withVm(prefix, vm, { nics });
  const named = ip === undefined ? specs.nets : withNames(specs, { vm, card, net, ip });
  const notes = [
    ip === undefined ? `It is eth${card} in the definition; its network gives no address.` : `It is eth${card} in the definition, ${ip}.`,
  ];
  return { specs: { ...specs, nets: named }, notes };
}

/** Takes a card out, with its reservation and names. The others keep their addresses. */
export function removeNic({ prefix, vm }: EditContext, change: VmChange & { kind: 'remove-nic' }): Edit {
  const index = nicIndex(vm, change.nic);
  const nic = vm.nics[index];
  if (nic !== undefined && nic.net === vm.mgmt_net && vm.nics.filter(({ net }) => net === nic.net).length === 1) {
    throw new EngineError('input.invalid', `${change.nic} is the only card of VM ${vm.name} on its management network ${nic.net}.`, {
      hint: `Without it the VM could not be reached. To unplug it for a while: lago vm link ${vm.name} ${change.nic} down.`,
    });
  }
  const nics = vm.nics.flatMap((one, at) => {
    if (at === index) return [];
    // Their place in the list changes, and with it a MAC address that comes from the place.
    return at < index || one.ip !== undefined ? [one] : [{ ...one, hwaddr: nicMac(prefix.uuid, vm.name, at, one) }];
  });
  const specs = withVm(prefix, vm, { nics });
  return { specs: { ...specs, nets: withoutStaleNames(specs) }, notes: [] };
}

function nicIndex(vm: VmSpec, nic: string): number {
  const index = vm.nics.findIndex((_, at) => nic === `eth${at}`);
  if (index >= 0) return index;
  const known = vm.nics.map((spec, at) => `eth${at} (${spec.net})`).join(', ');
  throw new EngineError('input.invalid', `VM ${vm.name} has no network card "${nic}".`, {
    hint: vm.nics.length === 0 ? 'It has none.' : `It has: ${known}.`,
  });
}

/** Only what differs from the default is in the definition, which Lago reads too. */
function withLink(nic: NicSpec, link: 'up' | 'down'): NicSpec {
  const { link: _, ...rest } = nic;
  return link === 'down' ? { ...rest, link } : rest;
}

/** The address of a new card; undefined on a network that gives none. */
function addressFor(prefix: Prefix, net: NetSpec, wanted: string | undefined): string | undefined {
  if (net.type === 'bridge' || net.gw === undefined) {
    if (wanted === undefined || octetsOf(wanted) !== undefined) return wanted;
    throw new EngineError('input.invalid', `"${wanted}" is not an IPv4 address.`);
  }
  const { gw } = net;
  const taken = [gw, ...Object.values(net.mapping), ...cardsOn(prefix, net)];
  const used = new Set(taken.flatMap((ip) => (sameSubnet(gw, ip) ? (lastOctet(ip) ?? []) : [])));
  if (wanted === undefined) {
    const octet = lowestFreeOctet(used, net.dhcp);
    if (octet !== undefined) return withLastOctet(gw, octet);
    throw new EngineError('input.invalid', `The network ${net.name} has no free address left.`, { hint: 'Use another network.' });
  }
  const last = lastOctet(wanted);
  if (octetsOf(wanted) === undefined || last === undefined || !sameSubnet(gw, wanted) || last < 2 || last > 254) {
    throw new EngineError('input.invalid', `"${wanted}" is not an address for a VM on the network ${net.name}.`, {
      hint: `Use ${withLastOctet(gw, 2)} to ${withLastOctet(gw, 254)}, or leave it out to get a free one.`,
    });
  }
  if (used.has(last)) {
    throw new EngineError('input.invalid', `${wanted} is in use on the network ${net.name}.`, { hint: 'Leave it out to get a free one.' });
  }
  return wanted;
}

function cardsOn(prefix: Prefix, net: NetSpec): readonly string[] {
  return prefix.specs.vms.flatMap((vm) => vm.nics.flatMap((nic) => (nic.net === net.name && nic.ip !== undefined ? [nic.ip] : [])));
}

/** A MAC address to be kept, where the one that follows from the card's place belongs to another card already. */
function freeMac(prefix: Prefix, vm: VmSpec, nic: NicSpec): string | undefined {
  const taken = new Set(vm.nics.map((one, at) => nicMac(prefix.uuid, vm.name, at, one)));
  const first = nicMac(prefix.uuid, vm.name, vm.nics.length, nic);
  if (!taken.has(first)) return undefined;
  for (let place = vm.nics.length + 1; ; place++) {
    const mac = nicMac(prefix.uuid, vm.name, place, {});
    if (!taken.has(mac)) return mac;
  }
}
