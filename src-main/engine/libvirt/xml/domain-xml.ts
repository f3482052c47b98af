import { createHash } from 'node:crypto';
import { macOf, octetsOf } from '../../../../src-shared/addresses.ts';
import type { DiskSpec, NetSpec, NicSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { element, printXml, type XmlElement } from '../../core/xml/write-xml.ts';
import { domainName, networkName } from '../names.ts';
import { type CpuContext, cpuXml, vcpuOf } from './cpu.ts';

/** Namespace of the owner element in a domain's or network's <metadata>: `<lago:owner prefix='UUID' name='VM'/>`. */
export const OWNER_NAMESPACE = 'urn:lago-desktop:owner:1';

/** Seconds between a guest's reports of its memory, which live numbers show. */
const BALLOON_PERIOD = 5;

export interface DomainContext extends CpuContext {
  /** The prefix's uuid, 32 hex digits. */
  readonly prefixUuid: string;
  /** Absolute path of the prefix, for `$LAGO_PREFIX_PATH`. */
  readonly prefixPath: string;
  /** The domain's own uuid; libvirt generates one if absent. */
  readonly uuid?: string | undefined;
  /** Path of the unix socket for VNC; if absent, the VM has no VNC server. */
  readonly vncSocket?: string | undefined;
  /** The environment's networks. */
  readonly nets: readonly NetSpec[];
  /** Never waits for the disk; for tests, whose guests are disposable. */
  readonly unsafeCache?: boolean | undefined;
  /** Path to which libvirt's log service copies the serial console's output. */
  readonly serialLog?: string | undefined;
  /** Path of QEMU; default: libvirt's choice. */
  readonly emulator?: string | undefined;
}

/** Writes the domain's XML, with names and paths escaped; see docs/compatibility.md for differences from Lago's XML and their reasons. */
export function domainXml(vm: VmSpec, context: DomainContext): string {
  return printXml(domainElement(vm, context));
}

function domainElement(vm: VmSpec, context: DomainContext): XmlElement {
  const kvm = context.accelerator === 'kvm';
  return element(
    'domain',
    { type: kvm ? 'kvm' : 'qemu' },
    element('name', {}, domainName(context.prefixUuid, vm.name)),
    context.uuid !== undefined && element('uuid', {}, context.uuid),
    ownerXml(context.prefixUuid, vm.name),
    element('memory', { unit: 'MiB' }, String(vm.memory)),
    vm.balloon !== undefined && vm.balloon < vm.memory && element('currentMemory', { unit: 'MiB' }, String(vm.balloon)),
    element('vcpu', {}, String(vcpuOf(vm))),
    element('os', {}, element('type', { arch: 'x86_64', machine: 'pc' }, 'hvm'), element('bootmenu', { enable: 'no' })),
    element('features', {}, element('acpi'), element('apic'), element('pae'), element('vmport', { state: 'off' })),
    cpuXml(vm, context),
    element('clock', { offset: 'utc' }, kvm && element('timer', { name: 'kvmclock' })),
    element('on_poweroff', {}, 'destroy'),
    element('on_reboot', {}, 'restart'),
    element('on_crash', {}, 'destroy'),
    element('pm', {}, element('suspend-to-mem', { enabled: 'no' }), element('suspend-to-disk', { enabled: 'no' })),
    element(
      'devices',
      {},
      context.emulator !== undefined && element('emulator', {}, context.emulator),
      element('controller', { type: 'usb', model: 'none' }),
      ...disksXml(vm, context),
      ...vm.nics.map((nic, index) => nicXml(vm, nic, index, context)),
      serialXml('serial', context.serialLog),
      element('console', { type: 'pty' }, element('target', { type: 'serial', port: 0 })),
      element('channel', { type: 'unix' }, element('target', { type: 'virtio', name: 'org.qemu.guest_agent.0' })),
      element('input', { type: 'mouse', bus: 'ps2' }),
      context.vncSocket !== undefined &&
        element('graphics', { type: 'vnc' }, element('listen', { type: 'socket', socket: context.vncSocket })),
      element('video', {}, element('model', { type: 'vga', vram: 16384, heads: 1 })),
      balloonXml(),
      element('rng', { model: 'virtio' }, element('backend', { model: 'random' }, '/dev/urandom')),
    ),
  );
}

/** The element that identifies leftovers of a prefix. */
export function ownerXml(prefixUuid: string, name: string): XmlElement {
  return element('metadata', {}, element('lago:owner', { 'xmlns:lago': OWNER_NAMESPACE, prefix: prefixUuid, name }));
}

/** Gives memory back to the guest before its processes are killed, and memory that the guest does not use to the host. */
function balloonXml(): XmlElement {
  const attributes = { model: 'virtio', autodeflate: 'on', freePageReporting: 'on' };
  return element('memballoon', attributes, element('stats', { period: BALLOON_PERIOD }));
}

function serialXml(name: 'serial', log: string | undefined): XmlElement {
  return element(
    name,
    { type: 'pty' },
    log !== undefined && element('log', { file: log, append: 'on' }),
    element('target', { type: 'isa-serial', port: 0 }),
  );
}

/** Bus by device name, as in Lago; a CD-ROM at sdX stays on SCSI because the `pc` machine has only four IDE slots. */
function busOf(disk: DiskSpec): 'virtio' | 'scsi' | 'ide' {
  if (disk.dev.startsWith('sd')) return 'scsi';
  return disk.dev.startsWith('hd') || disk.format === 'iso' ? 'ide' : 'virtio';
}

function disksXml(vm: VmSpec, context: DomainContext): XmlElement[] {
  const scsi = vm.disks.some((disk) => busOf(disk) === 'scsi');
  const controller = element('controller', { type: 'scsi', index: 0, model: 'virtio-scsi' });
  return [...(scsi ? [controller] : []), ...vm.disks.map((disk, index) => diskXml(vm, disk, index, context))];
}

function diskXml(vm: VmSpec, disk: DiskSpec, index: number, context: DomainContext): XmlElement {
  const cdrom = disk.format === 'iso';
  const bus = busOf(disk);
  const driver = { name: 'qemu', type: cdrom ? 'raw' : disk.format, cache: context.unsafeCache === true ? 'unsafe' : 'writeback' };
  return element(
    'disk',
    { type: 'file', device: cdrom ? 'cdrom' : 'disk' },
    element('driver', cdrom || bus === 'ide' ? driver : { ...driver, discard: 'unmap' }),
    // A CD drive may be empty.
    disk.path !== '' && element('source', { file: expand(disk.path, context.prefixPath) }),
    element('target', { dev: targetOf(vm, index), bus }),
    (cdrom || disk.readonly === true) && element('readonly'),
    element('serial', {}, String(index + 1)),
    element('boot', { order: index + 1 }),
  );
}

/** The disk's device as libvirt knows it: that of the definition, but for a CD-ROM with a virtio name. */
export function targetOf(vm: Pick<VmSpec, 'disks'>, index: number): string {
  const disk = vm.disks[index];
  if (disk === undefined) return '';
  return busOf(disk) === 'ide' && !disk.dev.startsWith('hd') ? freeIde(vm, index) : disk.dev;
}

/** The IDE slot of a CD-ROM with a virtio name: the n-th one that no other disk claims. */
function freeIde(vm: Pick<VmSpec, 'disks'>, index: number): string {
  const claimed = new Set(vm.disks.filter((disk) => disk.dev.startsWith('hd')).map((disk) => disk.dev));
  const free = ['hda', 'hdb', 'hdc', 'hdd'].filter((dev) => !claimed.has(dev));
  const before = vm.disks.slice(0, index).filter((disk) => busOf(disk) === 'ide' && !disk.dev.startsWith('hd')).length;
  return free[before] ?? 'hdd';
}

function nicXml(vm: VmSpec, nic: NicSpec, index: number, context: DomainContext): XmlElement {
  const mtu = nic.mtu ?? context.nets.find((net) => net.name === nic.net)?.mtu;
  return element(
    'interface',
    { type: 'network' },
    element('mac', { address: nicMac(context.prefixUuid, vm.name, index, nic) }),
    element('source', { network: networkName(context.prefixUuid, nic.net) }),
    element('model', { type: 'virtio' }),
    // Without KVM the kernel's vhost threads only take time from the emulation.
    context.accelerator === 'tcg' && element('driver', { name: 'qemu' }),
    mtu !== undefined && mtu !== 1500 && element('mtu', { size: mtu }),
    nic.link === 'down' && element('link', { state: 'down' }),
    // No network boot, and so no option ROM to run: saves a second.
    element('rom', { enabled: 'no' }),
  );
}

/** The MAC of a network card: by Lago's rule if it has an address, else one that is stable across starts. */
export function nicMac(prefixUuid: string, vm: string, index: number, nic: Pick<NicSpec, 'ip' | 'hwaddr'>): string {
  if (nic.hwaddr !== undefined) return nic.hwaddr;
  if (nic.ip !== undefined && octetsOf(nic.ip) !== undefined) return macOf(nic.ip);
  const hash = createHash('sha256').update(`${prefixUuid}/${vm}/${index}`).digest('hex');
  return `52:54:00:${hash.slice(0, 2)}:${hash.slice(2, 4)}:${hash.slice(4, 6)}`;
}

function expand(path: string, prefixPath: string): string {
  return path.startsWith('$LAGO_PREFIX_PATH') ? prefixPath + path.slice('$LAGO_PREFIX_PATH'.length) : path;
}
