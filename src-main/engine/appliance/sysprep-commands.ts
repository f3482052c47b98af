import type { CustomizeCommand } from './appliance.ts';

/** Distributions that are customized in the same way; `base` holds what works on all of them. */
export type GuestFamily = 'el6' | 'el7' | 'el8' | 'el9' | 'fedora' | 'debian' | 'ubuntu' | 'base';

export interface SysprepNic {
  /** Its index among the VM's network cards: 0 is eth0. */
  readonly index: number;
  readonly mac: string;
}

/** How to customize a disk with virt-sysprep. */
export interface SysprepSpec {
  /** Also the host name. */
  readonly vm: string;
  readonly family: GuestFamily;
  /** Only the cards that use DHCP. */
  readonly nics: readonly SysprepNic[];
  /** Whether to set a root password; it is in the file `password`. */
  readonly rootPassword: boolean;
}

/** Files that the commands refer to, in virt-sysprep's working folder. */
export const PASSWORD_FILE = 'password';
export const KEY_FILE = 'key.pub';

/**
 * The family of a distribution as named by templates (`el7`, `fc24`, `centos8`, `debian12`, `ubuntu22.04`). Old Ubuntu counts as Debian:
 * until 17.04 it has ifupdown, not netplan.
 */
export function guestFamily(distro: string | undefined): GuestFamily {
  const name = distro?.trim().toLowerCase() ?? '';
  const enterprise =
    /^(?:el|rhel|centos|alma|almalinux|rocky|rockylinux|ol|oraclelinux|sl|scientific)[-_]?(?:stream[-_]?)?(\d+)?(?![a-z])/.exec(name);
  if (enterprise !== null) {
    // Lago's first templates say CentOS without a number; the files of el7 work from 6 to 8.
    const version = Number(enterprise[1] ?? 7);
    return version <= 6 ? 'el6' : version === 7 ? 'el7' : version === 8 ? 'el8' : 'el9';
  }
  if (/^(?:fc|fedora)[-_]?\d*$/.test(name)) return 'fedora';
  if (name.startsWith('debian')) return 'debian';
  const ubuntu = /^ubuntu[-_]?(\d+)?(?:\.(\d+))?/.exec(name);
  if (ubuntu === null) return 'base';
  const version = ubuntu[1] === undefined ? undefined : Number(ubuntu[1]) + Number(ubuntu[2] ?? 0) / 100;
  return version !== undefined && version < 17.1 ? 'debian' : 'ubuntu';
}

/** Options of virt-sysprep besides disk and commands. No secrets here: every user can see a program's arguments. */
export function sysprepOptions(spec: SysprepSpec): readonly string[] {
  const relabel = spec.family === 'debian' || spec.family === 'ubuntu' ? [] : ['--selinux-relabel'];
  // An unknown guest might not create new host keys, and sshd would fail without any: it keeps its own.
  const operations = spec.family === 'base' ? ['--operations', 'defaults,-ssh-hostkeys'] : [];
  return [...operations, ...relabel];
}

/** The commands for `--commands-from-file`, in execution order. */
export function sysprepCommands(spec: SysprepSpec): readonly CustomizeCommand[] {
  return [
    ['hostname', spec.vm],
    ...(spec.rootPassword ? [['root-password', `file:${PASSWORD_FILE}`] as const] : []),
    ['ssh-inject', `root:file:${KEY_FILE}`],
    ['mkdir', '/etc/iscsi'],
    ['write', `/etc/iscsi/initiatorname.iscsi:InitiatorName=iqn.2014-07.org.lago:${spec.vm}\n`],
    ...spec.nics.flatMap((nic) => nicCommands(spec.family, nic)),
    ...familyCommands(spec.family),
  ];
}

function familyCommands(family: GuestFamily): readonly CustomizeCommand[] {
  switch (family) {
    case 'base':
      return [];
    case 'el7':
      // Both slow down each boot, and nobody needs a test VM's mail or kernel dumps.
      return [
        ['delete', '/etc/systemd/system/multi-user.target.wants/kdump.service'],
        ['delete', '/etc/systemd/system/multi-user.target.wants/postfix.service'],
        NO_BOOT_MENU,
      ];
    case 'el6':
    case 'el8':
    case 'el9':
    case 'fedora':
      return [NO_BOOT_MENU];
    case 'debian':
    case 'ubuntu':
      return [HOST_KEYS, NO_BOOT_MENU];
  }
}

/** Sets every boot loader's menu timeout to zero. Symbolic links are skipped: their target is edited itself. */
const NO_BOOT_MENU: CustomizeCommand = [
  'run-command',
  'for f in /etc/default/grub /boot/grub2/grub.cfg /boot/grub/grub.cfg /boot/grub/grub.conf /boot/efi/EFI/*/grub.cfg; do ' +
    'if [ -f "$f" ] && [ ! -L "$f" ]; then sed -i "s/^\\(GRUB_TIMEOUT=\\|timeout=\\|[[:space:]]*set timeout=\\)[0-9][0-9]*/\\10/" "$f"; fi; done',
];

/**
 * virt-sysprep removes the host keys, as VMs must not share them, and Debian's sshd does not create new ones. One kind is enough, since an
 * RSA key costs 15 s without hardware virtualization; an OpenSSH too old for ed25519 creates all kinds it knows.
 */
const HOST_KEYS: CustomizeCommand = [
  'run-command',
  'if command -v ssh-keygen >/dev/null && [ ! -e /etc/ssh/ssh_host_ed25519_key ]; then ' +
    'ssh-keygen -q -t ed25519 -N "" -f /etc/ssh/ssh_host_ed25519_key || ssh-keygen -A; fi',
];

function nicCommands(family: GuestFamily, { index, mac }: SysprepNic): readonly CustomizeCommand[] {
  const name = `eth${index}`;
  switch (family) {
    case 'base':
      return [];
    case 'el6':
    case 'el7':
    case 'el8': {
      const device = family === 'el6' ? `DEVICE="${name}"\n` : '';
      return [
        [
          'write',
          `/etc/sysconfig/network-scripts/ifcfg-${name}:TYPE="Ethernet"\nBOOTPROTO="dhcp"\nONBOOT="yes"\nNAME="${name}"\n${device}HWADDR="${mac}"\n`,
        ],
      ];
    }
    case 'el9':
    case 'fedora': {
      // NetworkManager no longer reads ifcfg files, and ignores keyfiles that other users can read.
      const path = `/etc/NetworkManager/system-connections/${name}.nmconnection`;
      const text = `[connection]\nid=${name}\ntype=ethernet\n\n[ethernet]\nmac-address=${mac}\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n`;
      return [
        ['mkdir', '/etc/NetworkManager/system-connections'],
        ['write', `${path}:${text}`],
        ['chmod', `0600:${path}`],
      ];
    }
    case 'debian':
      return [
        ['mkdir', '/etc/network/interfaces.d'],
        ['write', `/etc/network/interfaces.d/${name}:auto ${name}\niface ${name} inet dhcp\n`],
        // ifupdown matches by name, so a link file names the card by its MAC; systemd-networkd matches the MAC itself.
        ['mkdir', '/etc/systemd/network'],
        ['write', `/etc/systemd/network/10-lago-${name}.link:[Match]\nMACAddress=${mac}\n\n[Link]\nName=${name}\n`],
        [
          'write',
          `/etc/systemd/network/10-lago-${name}.network:[Match]\nMACAddress=${mac}\n\n[Network]\nDHCP=ipv4\n\n[DHCPv4]\nClientIdentifier=mac\n`,
        ],
      ];
    case 'ubuntu': {
      const path = `/etc/netplan/90-lago-${name}.yaml`;
      const text = `network:\n  version: 2\n  ethernets:\n    lago-${name}:\n      match:\n        macaddress: "${mac}"\n      dhcp4: true\n      dhcp-identifier: mac\n`;
      return [
        ['mkdir', '/etc/netplan'],
        ['write', `${path}:${text}`],
        ['chmod', `0600:${path}`],
      ];
    }
  }
}
