import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NetSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { readXml, type XmlElement } from '../../core/xml/read-xml.ts';
import { element, printXml } from '../../core/xml/write-xml.ts';
import { bridgeName, networkName, prefixedName } from '../names.ts';
import { cpuCustomProblem, type HostCpu, numaCells } from './cpu.ts';
import { type DomainContext, domainXml, nicMac, OWNER_NAMESPACE } from './domain-xml.ts';
import { networkXml } from './network-xml.ts';

const UUID = 'aaaabbbbccccddddeeeeffff00001111';
const net = NetSpec.parse({
  name: 'n',
  gw: '192.168.200.1',
  management: true,
  dhcp: { start: 100, end: 254 },
  mapping: { vm0: '192.168.200.2', 'vm0-eth0': '192.168.200.2' },
  dns_domain_name: 'lago.local',
  dns_records: { vm0: '192.168.200.2' },
});
const context: DomainContext = { prefixUuid: UUID, prefixPath: '/p', accelerator: 'kvm', nets: [net] };

function vm(keys: object = {}): VmSpec {
  return VmSpec.parse({
    name: 'vm0',
    memory: 512,
    nics: [{ net: 'n', ip: '192.168.200.2' }],
    disks: [{ name: 'root', dev: 'vda', path: '$LAGO_PREFIX_PATH/images/vm0_root.qcow2' }],
    ...keys,
  });
}

function find(root: XmlElement, path: string): XmlElement[] {
  return path
    .split('/')
    .reduce<XmlElement[]>((found, name) => found.flatMap((node) => node.children.filter((child) => child.name === name)), [root]);
}

function domain(spec: VmSpec, change: Partial<DomainContext> = {}): XmlElement {
  return readXml(domainXml(spec, { ...context, ...change }));
}

function attributes(nodes: readonly XmlElement[]): Record<string, string>[] {
  return nodes.map((node) => Object.fromEntries(node.attributes));
}

describe('a domain', () => {
  it('identifies its owner', () => {
    const root = domain(vm(), { uuid: 'u-u-i-d' });
    expect(find(root, 'name')[0]?.text).toBe('aaaabbbb-vm0');
    expect(find(root, 'uuid')[0]?.text).toBe('u-u-i-d');
    expect(attributes(find(root, 'metadata/lago:owner'))).toEqual([{ 'xmlns:lago': OWNER_NAMESPACE, prefix: UUID, name: 'vm0' }]);
  });

  it("runs on the host's accelerator", () => {
    const kvm = domain(vm());
    expect(kvm.attributes.get('type')).toBe('kvm');
    expect(attributes(find(kvm, 'cpu'))).toEqual([{ mode: 'host-passthrough' }]);
    expect(attributes(find(kvm, 'cpu/numa/cell'))).toEqual([
      { id: '0', cpus: '0', memory: '256', unit: 'MiB' },
      { id: '1', cpus: '1', memory: '256', unit: 'MiB' },
    ]);
    const tcg = domain(vm(), { accelerator: 'tcg' });
    expect(tcg.attributes.get('type')).toBe('qemu');
    expect(attributes(find(tcg, 'cpu'))).toEqual([{ mode: 'maximum' }]);
    expect(attributes(find(tcg, 'cpu/feature'))).toEqual([{ policy: 'disable', name: 'la57' }]);
    expect(find(tcg, 'cpu/numa')).toEqual([]);
    expect(attributes(find(tcg, 'devices/interface/driver'))).toEqual([{ name: 'qemu' }]);
  });

  it('has a serial console, an agent channel, a random device, a balloon and no USB', () => {
    const root = domain(vm(), { vncSocket: '/run/x.vnc', serialLog: '/p/logs/vm0.console' });
    expect(attributes(find(root, 'devices/serial/target'))).toEqual([{ type: 'isa-serial', port: '0' }]);
    expect(attributes(find(root, 'devices/serial/log'))).toEqual([{ file: '/p/logs/vm0.console', append: 'on' }]);
    expect(attributes(find(root, 'devices/console/target'))).toEqual([{ type: 'serial', port: '0' }]);
    expect(attributes(find(root, 'devices/channel/target'))).toEqual([{ type: 'virtio', name: 'org.qemu.guest_agent.0' }]);
    expect(attributes(find(root, 'devices/graphics/listen'))).toEqual([{ type: 'socket', socket: '/run/x.vnc' }]);
    expect(attributes(find(root, 'devices/memballoon'))).toEqual([{ model: 'virtio', autodeflate: 'on', freePageReporting: 'on' }]);
    expect(attributes(find(root, 'devices/memballoon/stats'))).toEqual([{ period: '5' }]);
    expect(find(root, 'currentMemory')).toEqual([]);
    expect(find(domain(vm({ memory: 512, balloon: 256 })), 'currentMemory')[0]?.text).toBe('256');
    expect(attributes(find(root, 'devices/controller'))).toEqual([{ type: 'usb', model: 'none' }]);
    expect(find(root, 'devices/video')).toHaveLength(1);
    expect(find(domain(vm()), 'devices/graphics')).toEqual([]);
  });

  it('puts disks on the bus of their device', () => {
    const disks = [
      { name: 'a', dev: 'vda', path: '$LAGO_PREFIX_PATH/images/a' },
      { name: 'b', dev: 'sda', format: 'raw', path: '/b' },
      { name: 'c', dev: 'hda', path: '/c' },
      { name: 'd', dev: 'vdb', format: 'iso', path: '/d.iso' },
      { name: 'e', dev: 'sdb', format: 'iso', path: '/e.iso' },
      { name: 'f', dev: 'vdc', path: '/f', readonly: true },
    ];
    const root = domain(vm({ disks }));
    expect(attributes(find(root, 'devices/disk/target'))).toEqual([
      { dev: 'vda', bus: 'virtio' },
      { dev: 'sda', bus: 'scsi' },
      { dev: 'hda', bus: 'ide' },
      { dev: 'hdb', bus: 'ide' },
      { dev: 'sdb', bus: 'scsi' },
      { dev: 'vdc', bus: 'virtio' },
    ]);
    expect(attributes(find(root, 'devices/disk/driver')).map((driver) => driver['type'])).toEqual([
      'qcow2',
      'raw',
      'qcow2',
      'raw',
      'raw',
      'qcow2',
    ]);
    expect(attributes(find(root, 'devices/disk')).map((disk) => disk['device'])).toEqual([
      'disk',
      'disk',
      'disk',
      'cdrom',
      'cdrom',
      'disk',
    ]);
    expect(find(root, 'devices/disk').map((disk) => find(disk, 'readonly').length)).toEqual([0, 0, 0, 1, 1, 1]);
    expect(attributes(find(root, 'devices/disk/source'))[0]).toEqual({ file: '/p/images/a' });
    expect(attributes(find(root, 'devices/disk/boot')).map((boot) => boot['order'])).toEqual(['1', '2', '3', '4', '5', '6']);
    expect(attributes(find(root, 'devices/controller')).filter((controller) => controller['type'] === 'scsi')).toHaveLength(1);
    const unsafe = domain(vm({ disks }), { unsafeCache: true });
    expect(new Set(attributes(find(unsafe, 'devices/disk/driver')).map((driver) => driver['cache']))).toEqual(new Set(['unsafe']));
  });

  it('has its cards in order, each with a stable MAC', () => {
    const root = domain(vm({ nics: [{ net: 'n', ip: '192.168.200.2' }, { net: 'b', mtu: 9000 }, { net: 'b' }] }));
    const macs = attributes(find(root, 'devices/interface/mac')).map((mac) => mac['address']);
    expect(macs[0]).toBe('54:52:c0:a8:c8:02');
    expect(new Set(macs).size).toBe(3);
    expect(macs.slice(1)).toEqual([nicMac(UUID, 'vm0', 1, {}), nicMac(UUID, 'vm0', 2, {})]);
    expect(attributes(find(root, 'devices/interface/source')).map((source) => source['network'])).toEqual(['aaaa-n', 'aaaa-b', 'aaaa-b']);
    expect(attributes(find(root, 'devices/interface/mtu'))).toEqual([{ size: '9000' }]);
    expect(attributes(find(root, 'devices/interface/rom'))).toHaveLength(3);
  });

  it('names its CPU model, with virtualization if the host has it', () => {
    const hostCpu: HostCpu = {
      vendor: 'Intel',
      features: new Set(['vmx']),
      modelVendor: (model) => (model === 'Westmere' ? 'Intel' : undefined),
    };
    const intel = domain(vm({ cpu_model: 'Westmere', vcpu: 3 }), { hostCpu });
    expect(find(intel, 'cpu/model')[0]?.text).toBe('Westmere');
    expect(attributes(find(intel, 'cpu/feature'))).toEqual([{ policy: 'require', name: 'vmx' }]);
    expect(attributes(find(intel, 'cpu/topology'))).toEqual([{ sockets: '3', cores: '1', threads: '1' }]);
    expect(find(domain(vm({ cpu_model: 'Opteron_G5' }), { hostCpu }), 'cpu/feature')).toEqual([]);
    expect(attributes(find(domain(vm({ cpu_model: 'Westmere' }), { accelerator: 'tcg' }), 'cpu'))).toEqual([
      { match: 'exact', check: 'none' },
    ]);
  });

  it('takes cpu_custom as it is', () => {
    const cpu_custom = {
      '@mode': 'custom',
      model: { '@fallback': 'allow', '#text': 'Haswell' },
      feature: [{ '@name': 'a' }, { '@name': '<b' }],
    };
    const root = domain(vm({ cpu_custom, vcpu: 4 }));
    expect(attributes(find(root, 'cpu'))).toEqual([{ mode: 'custom' }]);
    expect(find(root, 'cpu/model')[0]?.text).toBe('Haswell');
    expect(attributes(find(root, 'cpu/feature')).map((feature) => feature['name'])).toEqual(['a', '<b']);
    expect(find(root, 'cpu/topology')).toHaveLength(1);
    expect(find(domain(vm({ cpu_custom })), 'cpu/topology')).toEqual([]);
    expect(() => domainXml(vm({ cpu_custom: { 'a><b': 1 } }), context)).toThrow(/no name of an XML element/);
    expect(cpuCustomProblem({ '@a': {} })).toContain('single value');
  });

  it('spreads CPUs over cells that hold them all (property)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 512 }), (vcpu) => {
        expect(numaCells(vcpu).reduce((sum, count) => sum + count, 0)).toBe(vcpu);
      }),
    );
    expect([2, 4, 6, 8, 3].map((vcpu) => numaCells(vcpu))).toEqual([
      [1, 1],
      [2, 2],
      [2, 2, 2],
      [4, 4],
      [1, 1, 1],
    ]);
  });
});

describe('a network', () => {
  it('has its own bridge, with a name of 15 characters at most', () => {
    for (const name of ['network1', 'network2', 'a-very-long-network-name-1', 'a-very-long-network-name-2', 'n']) {
      expect(bridgeName(UUID, { name })).toHaveLength(Math.min(15, 5 + name.length));
      expect(bridgeName(UUID, { name })).toBe(networkName(UUID, name));
    }
    expect(new Set(['network1', 'network2', 'network-storage-1', 'network-storage-2'].map((name) => bridgeName(UUID, { name }))).size).toBe(
      4,
    );
    expect(networkName(UUID, 'lago_functional_tests')).toBe('aaaa-785d5195a1');
    expect(() => prefixedName(UUID, 'x', 5)).toThrow(/less than 6/);
  });

  it('forwards at once and runs dnsmasq as root only where asked', () => {
    const root = readXml(networkXml(net, { prefixUuid: UUID, dnsmasqAsRoot: true }));
    expect(attributes(find(root, 'bridge'))).toEqual([{ name: 'aaaa-n', stp: 'off', delay: '0' }]);
    expect(attributes(find(root, 'dnsmasq:options/dnsmasq:option'))).toEqual([{ value: 'user=root' }, { value: 'group=' }]);
    expect(find(readXml(networkXml(net, { prefixUuid: UUID })), 'dnsmasq:options')).toEqual([]);
    expect(attributes(find(root, 'metadata/lago:owner'))[0]).toMatchObject({ prefix: UUID, name: 'n' });
  });

  it('has no DHCP section without DHCP; a bridge is bare', () => {
    const { dhcp: _, ...still } = net;
    expect(find(readXml(networkXml({ ...still, mtu: 9000 }, { prefixUuid: UUID })), 'ip/dhcp')).toEqual([]);
    const bridge = readXml(networkXml(NetSpec.parse({ name: 'b', type: 'bridge' }), { prefixUuid: UUID }));
    expect(bridge.children.map((child) => child.name)).toEqual(['name', 'metadata', 'forward', 'bridge']);
    expect(() => networkXml(NetSpec.parse({ name: 'x' }), { prefixUuid: UUID })).toThrow(/no gateway/);
  });

  it('keeps names that libvirt would refuse out of DHCP', () => {
    const odd = { ...net, mapping: { __ENGINE__: '192.168.200.9' } };
    expect(attributes(find(readXml(networkXml(odd, { prefixUuid: UUID })), 'ip/dhcp/host'))).toEqual([
      { mac: '54:52:c0:a8:c8:09', ip: '192.168.200.9' },
      { id: '0:3:0:1:54:52:c0:a8:c8:09', ip: 'fd8f:1391:3a82:200::192.168.200.9' },
    ]);
  });

  it('resolves its own names to IPv4 and IPv6 addresses, and others as written', () => {
    const dns_records = { b: '192.168.200.4', a: '192.168.200.4', far: '1.2.3.4', six: 'fd00::1' };
    const root = readXml(networkXml({ ...net, dns_records }, { prefixUuid: UUID }));
    expect(find(root, 'dns/host').map((host) => [host.attributes.get('ip'), host.children.map((name) => name.text)])).toEqual([
      ['192.168.200.4', ['a', 'b']],
      ['fd8f:1391:3a82:200::192.168.200.4', ['a', 'b']],
      ['1.2.3.4', ['far']],
      ['fd00::1', ['six']],
    ]);
  });
});

it('any text survives writing and reading (property)', () => {
  const text = fc.string({ unit: 'grapheme' });
  fc.assert(
    fc.property(text, text, (value, content) => {
      const root = readXml(printXml(element('x', { a: value }, element('y', {}, content))));
      expect(root.attributes.get('a')).toBe(value);
      expect(root.children[0]?.text).toBe(content);
    }),
  );
  expect(printXml(element('x', { a: '\0\u0001\uFFFF<' }))).toBe("<x a='&lt;'/>\n");
});
