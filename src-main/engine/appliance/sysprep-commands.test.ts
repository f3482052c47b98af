import { describe, expect, test } from 'vitest';
import { commandsFile } from './appliance.ts';
import { type GuestFamily, guestFamily, type SysprepSpec, sysprepCommands, sysprepOptions } from './sysprep-commands.ts';

const mac = '54:52:c0:a8:c8:02';

function spec(family: GuestFamily, change: Partial<SysprepSpec> = {}): SysprepSpec {
  return { vm: 'web', family, nics: [{ index: 0, mac }], rootPassword: true, ...change };
}

function file(family: GuestFamily, change: Partial<SysprepSpec> = {}): string {
  return commandsFile(sysprepCommands(spec(family, change)));
}

describe('families', () => {
  test.each<[string | undefined, GuestFamily]>([
    ['el6', 'el6'],
    ['rhel6', 'el6'],
    ['el7', 'el7'],
    ['el7.2', 'el7'],
    ['centos7', 'el7'],
    ['centos', 'el7'],
    ['centos-stream-8', 'el8'],
    ['el8', 'el8'],
    ['el9', 'el9'],
    ['alma9', 'el9'],
    ['almalinux9', 'el9'],
    ['rocky9', 'el9'],
    ['el10', 'el9'],
    ['fc24', 'fedora'],
    ['fedora40', 'fedora'],
    ['debian', 'debian'],
    ['debian12', 'debian'],
    ['Debian', 'debian'],
    ['ubuntu16.04', 'debian'],
    ['ubuntu17.10', 'ubuntu'],
    ['ubuntu22.04', 'ubuntu'],
    ['ubuntu', 'ubuntu'],
    ['cirros', 'base'],
    ['lago-sample', 'base'],
    ['elementary', 'base'],
    ['slackware', 'base'],
    ['', 'base'],
    [undefined, 'base'],
  ])('%s is %s', (distro, family) => expect(guestFamily(distro)).toBe(family));
});

describe('commands', () => {
  const families: readonly GuestFamily[] = ['el6', 'el7', 'el8', 'el9', 'fedora', 'debian', 'ubuntu', 'base'];

  test.each(families)('%s gets name, password, key and iSCSI name first', (family) => {
    expect(file(family)).toMatch(
      /^hostname web\nroot-password file:password\nssh-inject root:file:key\.pub\nmkdir \/etc\/iscsi\nwrite \/etc\/iscsi\/initiatorname\.iscsi:InitiatorName=iqn\.2014-07\.org\.lago:web\\\n\n/,
    );
  });

  test.each(families)('%s keeps its password when there is none to set', (family) => {
    expect(file(family, { rootPassword: false })).not.toContain('password');
  });

  test.each(families.filter((family) => family !== 'base'))('%s gets one network card per address, by MAC', (family) => {
    const one = file(family);
    const two = file(family, {
      nics: [
        { index: 0, mac },
        { index: 2, mac: '54:52:c0:a8:c9:07' },
      ],
    });
    expect(one).toContain(mac);
    expect(two).toContain('54:52:c0:a8:c9:07');
    expect(two).toContain('eth2');
    expect(two).not.toContain('eth1');
    expect(file(family, { nics: [] })).not.toContain('eth0');
  });

  test.each<GuestFamily>(['el7', 'el8'])('%s: ifcfg', (family) => {
    expect(file(family)).toContain(
      `write /etc/sysconfig/network-scripts/ifcfg-eth0:TYPE="Ethernet"\\\nBOOTPROTO="dhcp"\\\nONBOOT="yes"\\\nNAME="eth0"\\\nHWADDR="${mac}"\\\n\n`,
    );
  });

  test('el6 names the device as well', () => expect(file('el6')).toContain(`NAME="eth0"\\\nDEVICE="eth0"\\\nHWADDR="${mac}"`));

  test('el7 loses services that slow down its boot', () => {
    expect(file('el7')).toContain('delete /etc/systemd/system/multi-user.target.wants/kdump.service\n');
    expect(file('el7')).toContain('delete /etc/systemd/system/multi-user.target.wants/postfix.service\n');
    expect(file('el8')).not.toContain('delete');
  });

  test.each<GuestFamily>(['el9', 'fedora'])('%s: a keyfile that only root reads', (family) => {
    expect(file(family)).toContain('write /etc/NetworkManager/system-connections/eth0.nmconnection:[connection]\\\nid=eth0\\\n');
    expect(file(family)).toContain(`[ethernet]\\\nmac-address=${mac}\\\n`);
    expect(file(family)).toContain('\nchmod 0600:/etc/NetworkManager/system-connections/eth0.nmconnection\n');
  });

  test('debian: ifupdown by a name that goes with the MAC, and systemd-networkd', () => {
    expect(file('debian')).toContain('write /etc/network/interfaces.d/eth0:auto eth0\\\niface eth0 inet dhcp\\\n\n');
    expect(file('debian')).toContain(`10-lago-eth0.link:[Match]\\\nMACAddress=${mac}\\\n\\\n[Link]\\\nName=eth0\\\n\n`);
    expect(file('debian')).toContain(`10-lago-eth0.network:[Match]\\\nMACAddress=${mac}\\\n`);
  });

  test('ubuntu: netplan, which only root reads', () => {
    expect(file('ubuntu')).toContain(`macaddress: "${mac}"\\\n      dhcp4: true\\\n`);
    expect(file('ubuntu')).toContain('\nchmod 0600:/etc/netplan/90-lago-eth0.yaml\n');
    expect(file('ubuntu')).not.toContain('interfaces.d');
  });

  test.each<GuestFamily>(['debian', 'ubuntu'])('%s gets host keys, as its sshd makes none', (family) => {
    expect(file(family)).toContain('ssh-keygen');
  });

  test.each(families.filter((family) => family !== 'base'))('%s does not wait in its boot menu', (family) => {
    expect(file(family)).toMatch(/\nrun-command for f in .*GRUB_TIMEOUT/);
  });

  test('base leaves all the rest alone', () =>
    expect(
      file('base')
        .split('\n')
        .filter((line) => line.startsWith('run') || line.includes('eth0')),
    ).toEqual([]));
});

describe('options', () => {
  test('SELinux relabels where labels may exist', () => {
    expect(sysprepOptions(spec('el7'))).toEqual(['--selinux-relabel']);
    expect(sysprepOptions(spec('debian'))).toEqual([]);
  });

  test('an unknown guest keeps its host keys', () => {
    expect(sysprepOptions(spec('base'))).toEqual(['--operations', 'defaults,-ssh-hostkeys', '--selinux-relabel']);
  });
});
