import { macOf, octetsOf, ulaPrefixOf, withLastOctet } from '../../../../src-shared/addresses.ts';
import type { DiskSpec, NetSpec, NicSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { element, printXml, type XmlElement } from '../../core/xml/write-xml.ts';
import { bridgeName, domainName, networkName } from '../names.ts';
import { cpuXml, vcpuOf } from './cpu.ts';

/**
 * Lago 1.0's XML for libvirt, element by element, to compare plans against Lago's output. Never defined: it needs KVM, vhost and a virtio
 * console.
 */
export interface LagoContext {
  readonly prefixUuid: string;
  readonly prefixPath: string;
}

export function lagoDomainXml(vm: VmSpec, context: LagoContext): string {
  return printXml(domainElement(vm, context));
}

export function lagoNetworkXml(net: NetSpec, prefixUuid: string): string {
  const name = networkName(prefixUuid, net.name);
  const { gw } = net;
  if (net.type === 'bridge' || gw === undefined) {
    const bridge = element('bridge', { name: bridgeName(prefixUuid, net) });
    return printXml(element('network', {}, element('name', {}, name), element('forward', { mode: 'bridge' }), bridge));
  }
  return printXml(
    element(
      'network',
      {},
      element('name', {}, name),
      element('forward', { mode: 'nat' }, element('nat', {}, element('port', { start: 1024, end: 65535 }))),
      element('bridge', { name: `${name}-nic`.slice(0, 12), stp: 'on', delay: 0 }),
      net.mtu !== undefined && net.mtu !== 1500 && element('mtu', { size: net.mtu }),
      element('ip', { address: gw, netmask: '255.255.255.0' }, dhcpElement(net, gw, '')),
      element('ip', { family: 'ipv6', address: `${ulaPrefixOf(gw)}1`, prefix: 64 }, dhcpElement(net, gw, ulaPrefixOf(gw))),
      net.management && net.dns_domain_name !== undefined && element('domain', { name: net.dns_domain_name, localOnly: 'yes' }),
      net.management ? element('dns', { forwardPlainNames: 'no' }, ...dnsElements(net, gw)) : element('dns', { enable: 'no' }),
    ),
  );
}

/** `six`: prepended to an IPv4 address to make it one of the IPv6 network; empty for IPv4. */
function dhcpElement(net: NetSpec, gw: string, six: string): XmlElement | undefined {
  if (net.dhcp === undefined) return undefined;
  const byIp = new Map<string, string>();
  for (const name of Object.keys(net.mapping).toSorted()) {
    const ip = net.mapping[name];
    if (ip !== undefined && octetsOf(ip) !== undefined && !byIp.has(ip)) byIp.set(ip, name);
  }
  return element(
    'dhcp',
    {},
    element('range', { start: `${six}${withLastOctet(gw, net.dhcp.start)}`, end: `${six}${withLastOctet(gw, net.dhcp.end)}` }),
    ...[...byIp].map(([ip, name]) =>
      element('host', { ...(six === '' ? { mac: macOf(ip) } : { id: `0:3:0:1:${macOf(ip)}` }), ip: `${six}${ip}`, name }),
    ),
  );
}

/** Lago gave every name an IPv6 address of this network, even names of other networks and outside hosts, where it does not exist. */
function dnsElements(net: NetSpec, gw: string): readonly XmlElement[] {
  const records = Object.entries(net.dns_records ?? {});
  return [...new Set(records.map(([, ip]) => ip))].flatMap((ip) => {
    const names = records.filter(([, other]) => other === ip).map(([name]) => name);
    const hostnames = names.toSorted().map((name) => element('hostname', {}, name));
    const addresses = octetsOf(ip) === undefined ? [ip] : [ip, `${ulaPrefixOf(gw)}${ip}`];
    return addresses.map((address) => element('host', { ip: address }, ...hostnames));
  });
}

function domainElement(vm: VmSpec, context: LagoContext): XmlElement {
  const pci = (slot: string): XmlElement => element('address', { type: 'pci', domain: '0x0000', bus: '0x00', slot, function: '0x0' });
  const vcpu = vcpuOf(vm);
  const firstScsi = vm.disks.findIndex((disk) => disk.format !== 'iso' && disk.dev.startsWith('sd'));
  const controller = element(
    'controller',
    { type: 'scsi', index: 0, model: 'virtio-scsi' },
    element('driver', { queues: vcpu, iothread: 1 }),
  );
  return element(
    'domain',
    { type: 'kvm' },
    element('name', {}, domainName(context.prefixUuid, vm.name)),
    element('memory', { unit: 'MiB' }, String(vm.memory)),
    element('iothreads', {}, '1'),
    element('pm', {}, element('suspend-to-disk', { enabled: 'no' }), element('suspend-to-mem', { enabled: 'no' })),
    element(
      'os',
      {},
      element('type', { arch: 'x86_64', machine: 'pc' }, 'hvm'),
      element('bootmenu', { enable: 'no' }),
      element('bios', { useserial: 'no' }),
    ),
    element('features', {}, element('acpi'), element('apic'), element('pae'), element('vmport', { state: 'off' })),
    element(
      'devices',
      {},
      element('emulator', {}, '/usr/bin/qemu-system-x86_64'),
      element('memballoon', { model: 'none' }),
      element('controller', { type: 'usb', model: 'none' }),
      element(
        'channel',
        { type: 'unix' },
        element('source', { mode: 'bind' }),
        element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' }),
      ),
      element('rng', { model: 'virtio' }, element('backend', { model: 'random' }, '/dev/urandom'), pci('0x09')),
      element('console', { type: 'pty' }, element('target', { type: distroIsEl6(vm) ? 'serial' : 'virtio', port: 0 })),
      element('video', {}, element('model', { type: 'cirrus', vram: 16384, heads: 1 }), element('alias', { name: 'video0' }), pci('0x02')),
      ...vm.disks.flatMap((disk, index) =>
        index === firstScsi ? [controller, lagoDisk(disk, index, context)] : [lagoDisk(disk, index, context)],
      ),
      ...vm.nics.map((nic) => lagoNic(nic, context)),
    ),
    element('clock', { offset: 'utc' }, element('timer', { name: 'kvmclock' })),
    cpuXml(vm, { ...context, accelerator: 'kvm' }),
    element('vcpu', {}, String(vcpu)),
  );
}

function distroIsEl6(vm: VmSpec): boolean {
  return (vm.distro ?? vm.disks[0]?.metadata['distro']) === 'el6';
}

function lagoDisk(disk: DiskSpec, index: number, context: LagoContext): XmlElement {
  const cdrom = disk.format === 'iso';
  const bus = cdrom || disk.dev.startsWith('hd') ? 'ide' : disk.dev.startsWith('sd') ? 'scsi' : 'virtio';
  const plain = { name: 'qemu', type: cdrom ? 'raw' : disk.format };
  const cached = { ...plain, discard: 'unmap', cache: 'writeback' };
  return element(
    'disk',
    { type: 'file', device: cdrom ? 'cdrom' : 'disk' },
    element('driver', bus === 'ide' ? plain : bus === 'scsi' ? cached : { ...cached, iothread: 1, queues: 1 }),
    element('serial', {}, String(index + 1)),
    element('source', { file: disk.path.replace('$LAGO_PREFIX_PATH', context.prefixPath) }),
    element('target', { dev: disk.dev, bus }),
  );
}

function lagoNic(nic: NicSpec, context: LagoContext): XmlElement {
  return element(
    'interface',
    { type: 'network' },
    element('source', { network: networkName(context.prefixUuid, nic.net) }),
    element('model', { type: 'virtio' }),
    element('driver', { name: 'vhost', queues: 2 }),
    nic.ip !== undefined && octetsOf(nic.ip) !== undefined && element('mac', { address: macOf(nic.ip) }),
    nic.mtu !== undefined && element('mtu', { size: nic.mtu }),
  );
}
