import { z } from 'zod';
import { REPO_PORT } from '../repos/package-repos.ts';
import { flag, line, list, mapping, name, nameKey, password, path, told, wholeNumber } from './loose.ts';
import { CPU_MODEL, DISK_NAME, DNS_NAME, NET_NAME, PROTOTYPE_NAME, USER_NAME, VM_NAME, WORD_RULE } from './name-rules.ts';

/**
 * The one definition of an init file, from which types, validation, JSON Schema and the reference page are derived. Every key has a
 * description; `since` names the first release of Lago that knew it ("0.29" means 0.29 or earlier; "new" means not in Lago).
 */

const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)$/;
/** On leased networks only the last number counts, so real files contain `999.999.999.150` and `192,168.200.3`. */
const LOOSE_IPV4 = /^[\d.,]{1,20}\.(?:25[0-5]|2[0-4]\d|1?\d?\d)$/;
const IPV6 = /^[0-9a-fA-F:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?$/;
const SIZE = /^\s*\d+(?:\.\d+)?\s*(?:[bBkKmMgGtTpPeE](?:i?[bB])?)?\s*$/;
const SIZE_TOLD = told('a size such as 20G or 512M');
const DEV = /^(?:vd[a-z]{1,2}|sd[a-z]{1,2}|hd[a-d])$/;

interface About {
  readonly description: string;
  readonly since: string;
}

function key<T extends z.ZodType>(schema: T, since: string, description: string): z.ZodOptional<T> {
  return schema.optional().meta({ description, since } satisfies About);
}

const BuildStep = mapping('one builder with its options, for example {virt-customize: {install: vim}}');

/** One disk of a VM. */
export const DiskDefinition = z.looseObject(
  {
    name: key(name(DISK_NAME), '0.29', 'Name of the disk, part of its file name `images/VM_NAME.FORMAT`. Required.'),
    type: key(
      z.enum(['template', 'empty', 'file'], told('template, empty or file')),
      '0.29',
      '`template`: a copy-on-write layer over a template or image; `empty`: a new disk; `file`: an image that exists, or a download. Required.',
    ),
    dev: key(
      z.string(told('a device name such as vda, sda or hda')).regex(DEV, told('a device name such as vda, sda or hda')),
      '0.29',
      'Device in the guest: `vda`… (virtio), `sda`… (virtio-scsi), `hda`… (IDE). Required.',
    ),
    format: key(
      z.enum(
        ['qcow2', 'raw', 'iso', 'vmdk', 'vdi', 'vpc', 'vhdx', 'qed'],
        told('qcow2, raw or iso (for files also vmdk, vdi, vpc, vhdx, qed)'),
      ),
      '0.29',
      'Format of the disk in the prefix; `iso` makes a CD-ROM. Default `qcow2`.',
    ),
    size: key(
      z
        .union([z.number(SIZE_TOLD).positive(SIZE_TOLD), z.string(SIZE_TOLD).regex(SIZE, SIZE_TOLD)], SIZE_TOLD)
        .transform((value) => (typeof value === 'number' ? value : value.replace(/\s+/g, ''))),
      '0.29',
      'Size of an `empty` disk as qemu-img writes it: `20G`, `512M`; a bare number is bytes.',
    ),
    template_type: key(
      z.enum(['lago', 'qcow2'], told('lago or qcow2')),
      '0.29',
      '`lago` (default): `template_name` from the template repository; `qcow2`: the image at `path` becomes the backing file.',
    ),
    template_name: key(line('a template name', 256), '0.29', 'Name of the template in the repository.'),
    template_version: key(line('a template version', 256), '0.29', 'Version of the template. Default: the newest.'),
    path: key(
      path(),
      '0.29',
      'Image to use (`file`), to put a layer over (`template_type: qcow2`), or where a download goes. `$VAR` is expanded.',
    ),
    url: key(path('a URL'), '0.29', 'Where a `file` disk is downloaded from. `$VAR` is expanded.'),
    make_a_copy: key(flag(), '0.35', 'Copy the file into the prefix instead of using it in place.'),
    metadata: key(mapping(), '0.29', 'Free data about the disk; a template’s own metadata is added to it.'),
    build: key(
      list(BuildStep, 'a list of builders'),
      '0.37',
      'Commands that change the image once, after bootstrap: a list of `{virt-customize: {OPTION: VALUE}}`.',
    ),
    'skip-export': key(flag(), '0.40', 'Leave this disk out of `lago export`.'),
    comment: key(z.unknown(), '0.29', 'Ignored.'),
  },
  told('a mapping that describes one disk'),
);
export type DiskDefinition = z.infer<typeof DiskDefinition>;

/** One network card of a VM; their order determines eth0, eth1... */
export const NicDefinition = z.looseObject(
  {
    net: key(name(NET_NAME), '0.29', 'Network that the card is plugged into, by its name in `nets`. Required.'),
    ip: key(
      z.string(told('an IPv4 address')).regex(LOOSE_IPV4, told('an IPv4 address')),
      '0.29',
      'Fixed address. On a leased network only the last number counts. Default: the lowest free one.',
    ),
    comment: key(z.unknown(), '0.29', 'Ignored.'),
  },
  told('a mapping such as {net: NAME}'),
);
export type NicDefinition = z.infer<typeof NicDefinition>;

const CloudInit = z.looseObject(
  {
    'user-data': key(
      z.union([mapping(), z.string()], told('a mapping, or the text of a user-data file')),
      'new',
      'cloud-init user-data: a mapping that is merged over ours (keys, password), `{path: FILE}`, or the whole text.',
    ),
    'meta-data': key(mapping(), 'new', 'cloud-init meta-data, merged over instance-id and local-hostname.'),
    'network-config': key(mapping(), 'new', 'cloud-init network configuration.'),
  },
  told('a mapping with user-data or meta-data'),
);

/** One virtual machine. */
export const DomainDefinition = z.looseObject(
  {
    comment: key(z.unknown(), '0.29', 'Ignored.'),
    'based-on': key(name(PROTOTYPE_NAME), '0.29', 'Prototype whose keys this VM takes where it has none of its own.'),
    memory: key(wholeNumber(16, 16_777_216, 'MiB'), '0.29', 'Memory in MiB. Default 16384.'),
    vcpu: key(wholeNumber(1, 512), '0.29', 'Number of virtual CPUs. Default 2.'),
    cpu: key(wholeNumber(1, 512), '0.29', 'Sockets of the CPU topology (until 0.36); used as the number of CPUs when `vcpu` is absent.'),
    cpu_model: key(name(CPU_MODEL), '0.37', 'Exact CPU model by libvirt’s name, for example `Westmere`. Not together with `cpu_custom`.'),
    cpu_custom: key(
      mapping(),
      '0.37',
      'libvirt’s <cpu> element as a mapping: `@name` is an attribute, `#text` the text. Not together with `cpu_model`.',
    ),
    nics: key(
      list(NicDefinition, 'a list of network cards'),
      '0.29',
      'Network cards, in the order eth0, eth1… One of them on a management network.',
    ),
    disks: key(list(DiskDefinition, 'a list of disks'), '0.29', 'Disks; the first one boots.'),
    type: key(z.literal('ova', told('ova, or absent')), '0.29', '`ova`: the VM is imported from `url`.'),
    url: key(path('a URL or path'), '0.29', 'OVA file of a `type: ova` VM: http, https or file URL.'),
    metadata: key(
      mapping(),
      '0.29',
      'Free data; known: `deploy-scripts` (list of paths), `ovirt-scripts` (its old name), `ovirt-role`, `ovirt-capabilities`, `ovirt-engine-password`.',
    ),
    artifacts: key(list(path('a path in the guest'), 'a list of paths'), '0.29', 'Paths in the guest that `lago collect` fetches.'),
    'vm-type': key(name(WORD_RULE), '0.29', 'VM type plugin. Default from the configuration (`default`).'),
    'vm-provider': key(name(WORD_RULE), '0.29', 'VM provider: `local-libvirt` (default) or `ssh`.'),
    service_provider: key(
      name(WORD_RULE),
      '0.29',
      'How services are managed in the guest: `systemd`, `sysvinit`, `systemdcontainer`. Default: found out on first use.',
    ),
    service_class: key(name(WORD_RULE), '0.29', 'Deprecated name of `service_provider`, as a class name such as `SystemdService`.'),
    'root-password': key(password(), '0.29', 'Password of root in the guest, set by bootstrap; with cloud-init for ssh as well.'),
    'ssh-user': key(name(USER_NAME), '0.29', 'User for ssh. Default from the configuration (`root`).'),
    'ssh-password': key(password(), '0.29', 'Password for ssh. Default: `root-password`, else from the configuration.'),
    distro: key(name(WORD_RULE), '0.29', 'Distribution of the guest (el7, fc24, debian…). Default: what the template says.'),
    boot_time_sec: key(wholeNumber(1, 86_400, 'seconds'), '0.29', 'How long to wait for ssh, in seconds. Default 600.'),
    'guest-agent': key(name(WORD_RULE), '0.29', 'Name of the guest agent’s service. Default: found out.'),
    bootstrap: key(
      z.union([z.enum(['virt-sysprep', 'cloud-init', 'none']), flag()], told('true, false, virt-sysprep, cloud-init or none')),
      '0.37',
      'How the first boot is made ready. `true`: as the configuration says, `false` or `none`: not at all; new: `virt-sysprep` and `cloud-init` by name.',
    ),
    'cloud-init': key(CloudInit, 'new', 'Data for cloud-init; having it chooses `bootstrap: cloud-init`.'),
    groups: key(
      z.union([list(name(WORD_RULE), 'a list of names'), name(WORD_RULE).transform((value) => [value])], told('a list of names')),
      '0.39',
      'Groups of the Ansible inventory.',
    ),
    'start-after': key(
      z.union([list(name(VM_NAME), 'a list of VM names'), name(VM_NAME).transform((value) => [value])], told('a list of VM names')),
      'new',
      'VMs that are powered on before this one when they are started together. It does not wait until they have booted.',
    ),
    'skip-export': key(flag(), '0.40', 'Leave this VM out of `lago export`.'),
  },
  told('a mapping that describes one VM'),
);
export type DomainDefinition = z.infer<typeof DomainDefinition>;

const DnsRecords = z.record(
  nameKey(DNS_NAME),
  z.string(told('an IP address')).refine((value) => IPV4.test(value) || (value.includes(':') && IPV6.test(value)), told('an IP address')),
  told('a mapping from host name to IP address'),
);

/** One network. */
export const NetDefinition = z.looseObject(
  {
    comment: key(z.unknown(), '0.29', 'Ignored.'),
    type: key(
      z.enum(['nat', 'bridge'], told('nat or bridge')),
      '0.29',
      '`nat` (default): a 192.168.N.0/24 network of its own; `bridge`: a bare bridge without addresses.',
    ),
    dhcp: key(
      z.looseObject(
        {
          start: key(wholeNumber(2, 254), '0.29', 'First host number of the dynamic range.'),
          end: key(wholeNumber(2, 254), '0.29', 'Last host number of the dynamic range.'),
        },
        told('a mapping with start and end'),
      ),
      '0.29',
      'DHCP with this dynamic range; without it the network hands out no addresses, not even fixed ones.',
    ),
    gw: key(
      z.string(told('an IPv4 address')).regex(IPV4, told('an IPv4 address')),
      '0.29',
      'Address of the gateway, and so of the /24 network. Default: a leased network, its .1.',
    ),
    management: key(flag(), '0.29', 'ssh and host names use this network. Default: when no network has it, the alphabetically first.'),
    dns_domain_name: key(name(DNS_NAME), '0.29', 'DNS domain of the network. Default on management networks: `lago.local`.'),
    dns_records: key(DnsRecords, '0.37', 'More host names on a management network: `{name: address}`.'),
    main_dns: key(flag(), '0.37', 'Only accepted on management networks; has no effect.'),
    mtu: key(wholeNumber(68, 65_535, 'bytes'), '0.42', 'Largest packet. Default 1500.'),
  },
  told('a mapping that describes one network'),
);
export type NetDefinition = z.infer<typeof NetDefinition>;

/** Which automatic snapshots are kept. */
export const SnapshotKeepDefinition = z.looseObject(
  {
    last: key(wholeNumber(1, 1000), 'new', 'Only so many of the newest automatic snapshots.'),
    days: key(wholeNumber(1, 3650), 'new', 'Only automatic snapshots that are not older than so many days.'),
  },
  told('a mapping with last, days or both'),
);

const PATHS = 'a path, or a list of paths';

/** Package repositories for the VMs. */
export const ReposDefinition = z.looseObject(
  {
    file: key(
      z.union([list(path(), PATHS), path().transform((value) => [value])], told(PATHS)),
      'new',
      'Where packages come from: a .repo file of dnf or yum, or sources of apt (.list, .sources); or a list of such files. Relative paths begin at the init file’s folder.',
    ),
    sections: key(
      list(line('the id of a section', 200), 'a list of ids'),
      'new',
      'The sections of these files that are used, by id. Default: Lago’s rule, those whose id ends in `-DISTRO` with the `distro` of a VM.',
    ),
    sources: key(
      list(path('a path, pattern or URL'), 'a list of paths, patterns and URLs'),
      'new',
      'Packages that are merged with them, such as those of your own build: folders, files, patterns or URLs. `:only-missing` at the end of one: only packages of names that no source before it has; `:pinned`: its packages win over newer ones.',
    ),
    client: key(
      z.enum(['auto', 'none'], told('auto or none')),
      'new',
      '`auto`: the VMs are told by themselves where the packages are served; `none` (default): by your scripts.',
    ),
    serve: key(flag(), 'new', 'Serve the packages to the VMs whenever the environment runs. Default false.'),
    port: key(wholeNumber(1, 65_535), 'new', `Port on the networks’ gateways where they are served. Default ${REPO_PORT}.`),
    comment: key(z.unknown(), 'new', 'Ignored.'),
  },
  told('a mapping with file or sources'),
);
export type ReposDefinition = z.infer<typeof ReposDefinition>;

/** The whole file. Other top-level keys are allowed, because files keep YAML anchors there. */
export const InitFileSchema = z.looseObject({
  domains: z
    .record(nameKey(VM_NAME), DomainDefinition, told('a mapping from VM name to VM'))
    .meta({ description: 'The VMs by name.', since: '0.29' }),
  nets: z
    .record(nameKey(NET_NAME), NetDefinition, told('a mapping from network name to network'))
    .meta({ description: 'The networks by name.', since: '0.29' }),
  prototypes: key(
    z.record(nameKey(PROTOTYPE_NAME), DomainDefinition, told('a mapping from name to prototype')),
    '0.29',
    'VM definitions to be used by `based-on`; a prototype may be based on another.',
  ),
  'snapshot-keep': key(
    SnapshotKeepDefinition,
    'new',
    'Which automatic snapshots are kept when another one is taken; pinned ones always are. Default: as lago.conf says.',
  ),
  repos: key(ReposDefinition, 'new', 'Package repositories for the VMs: which are synchronised, merged and served; see package-repos.md.'),
});

/** Keys that Lago writes into its saved specs and that exported or copied files may contain. Known, but ignored on reading. */
export const SAVED_KEYS: Readonly<Record<'domain' | 'disk' | 'nic' | 'net', readonly string[]>> = {
  domain: ['name', 'mgmt_net', 'snapshots'],
  disk: [],
  nic: ['mtu'],
  net: ['name', 'mapping', 'dns_forward'],
};
