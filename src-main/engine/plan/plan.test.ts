import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import { freshAllocator } from '../net/subnets.ts';
import { everythingExists } from './plan.test-support.ts';
import { type PlannedEnvironment, planEnvironment } from './plan.ts';
import type { FileInfo, PlanContext } from './plan-context.ts';
import { bytesOf } from './plan-disks.ts';

function plan(text: string, change: Partial<PlanContext> = {}): PlannedEnvironment {
  const { value, issues } = parseInitFile(text, 'f');
  if (value === undefined) throw new Error(issues.map(formatIssue).join('\n'));
  return planEnvironment(value, everythingExists(change));
}

function problems(text: string, change: Partial<PlanContext> = {}): string[] {
  return plan(text, change).issues.map(formatIssue);
}

/** An init file with these VMs (YAML flow mappings) and nets. */
function file(vms: Record<string, string>, nets: Record<string, string> = { n: 'management: true' }): string {
  const lines = (entries: Record<string, string>): string =>
    Object.entries(entries)
      .map(([name, body]) => `  ${name}: {${body}}\n`)
      .join('');
  return `domains:\n${lines(vms)}nets:\n${lines(nets)}`;
}

const DISK = 'disks: [{name: root, type: template, template_name: t, dev: vda}]';
const VM = `nics: [{net: n}], ${DISK}`;

function filesOf(files: Record<string, Partial<FileInfo>>): PlanContext['fileInfo'] {
  return (path) => (Object.hasOwn(files, path) ? { kind: 'file', size: 10, ...files[path] } : undefined);
}

describe('addresses', () => {
  it('are the lowest free ones, past the gateway, fixed ones and the dynamic range', () => {
    const { specs, issues } = plan(
      file(
        { a: VM, b: `nics: [{net: n, ip: 192.168.210.3}], ${DISK}`, c: VM },
        { n: 'management: true, gw: 192.168.210.2, dhcp: {start: 4, end: 100}' },
      ),
    );
    expect(issues).toEqual([]);
    expect(specs.vms.map((vm) => vm.nics[0]?.ip)).toEqual(['192.168.210.101', '192.168.210.3', '192.168.210.102']);
  });

  it('go into the dynamic range only when nothing else is left', () => {
    const { specs } = plan(file({ a: VM, b: VM }, { n: 'dhcp: {start: 3, end: 254}' }));
    expect(specs.vms.map((vm) => vm.nics[0]?.ip)).toEqual(['192.168.200.2', '192.168.200.3']);
  });

  it('of a leased network count by their last octet', () => {
    const { specs, issues } = plan(file({ a: `nics: [{net: n, ip: 999.999.999.150}], ${DISK}` }));
    expect(specs.vms[0]?.nics).toEqual([{ net: 'n', ip: '192.168.200.150' }]);
    expect(issues).toMatchObject([{ severity: 'warning', line: 2, path: 'domains.a.nics[0].ip' }]);
  });

  it('are never given twice, whatever the file (property)', () => {
    const vm = fc.array(
      fc.tuple(fc.constantFrom('n', 'm', 'o'), fc.option(fc.integer({ min: 0, max: 255 }), { freq: 3, nil: undefined })),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(
        fc.array(vm, { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 2, max: 254 }),
        fc.integer({ min: 0, max: 100 }),
        (vms, start, length) => {
          const range = `dhcp: {start: ${start}, end: ${Math.min(254, start + length)}}`;
          const text = file(
            Object.fromEntries(
              vms.map((nics, index) => [
                `v${index}`,
                `${DISK}, nics: [${nics.map(([net, ip]) => (ip === undefined ? `{net: ${net}}` : `{net: ${net}, ip: 1.1.1.${ip}}`)).join(', ')}]`,
              ]),
            ),
            { n: `management: true, gw: 192.168.220.7, ${range}`, m: range, o: 'type: nat' },
          );
          const { specs } = plan(text);
          for (const net of specs.nets) {
            const given = specs.vms.flatMap((spec) =>
              spec.nics.filter((nic) => nic.net === net.name && nic.ip !== undefined).map((nic) => nic.ip),
            );
            expect(new Set(given).size).toBe(given.length);
            expect(given).not.toContain(net.gw);
            for (const ip of given) expect(ip).toMatch(/^192\.168\.2\d\d\.\d+$/);
          }
          expect(new Set(specs.nets.map((net) => net.gw)).size).toBe(specs.nets.length);
        },
      ),
      { numRuns: 100 },
    );
  }, 120_000);
});

describe('networks', () => {
  it('with a fixed gateway are leased before the others', () => {
    const { specs } = plan(file({ a: VM }, { n: 'management: true', m: 'gw: 192.168.200.1' }));
    expect(specs.nets.map((net) => net.gw)).toEqual(['192.168.201.1', '192.168.200.1']);
  });

  it('skip those held by others', () => {
    const { specs } = plan(file({ a: VM }), { lease: freshAllocator(['192.168.200.0', '192.168.201.1']) });
    expect(specs.nets[0]?.gw).toBe('192.168.202.1');
  });

  it('get a management network when none is marked: the alphabetically first', () => {
    const { specs, plan: shown } = plan(file({ a: `nics: [{net: m}, {net: z}], ${DISK}` }, { z: '', m: '' }));
    expect(specs.nets.map((net) => [net.name, net.management, net.dns_domain_name])).toEqual([
      ['z', false, undefined],
      ['m', true, 'lago.local'],
    ]);
    expect(shown.vms['a']?.mgmt_net).toBe('m');
  });

  it('all know all names; the alphabetically last management network answers for the others', () => {
    const { specs } = plan(
      file({ a: VM, b: `nics: [{net: o}, {net: p}], ${DISK}` }, { n: 'management: true', o: 'management: true', p: '' }),
    );
    const [n, o, p] = specs.nets;
    expect(n?.dns_records).toEqual(o?.dns_records);
    expect(Object.keys(n?.dns_records ?? {})).toEqual([
      'a-eth0',
      'a',
      'a-n',
      'a-n-0',
      'b-eth0',
      'b',
      'b-o',
      'b-o-0',
      'b-eth1',
      'b-p',
      'b-p-0',
    ]);
    expect(p?.dns_forward).toBe(o?.gw);
    expect(p?.dns_records).toBeUndefined();
  });

  it('pass their MTU to the cards', () => {
    const { specs } = plan(file({ a: VM }, { n: 'management: true, mtu: 9000' }));
    expect(specs.vms[0]?.nics[0]).toMatchObject({ mtu: 9000 });
  });

  it.each<[string, string, string]>([
    [
      'an address twice',
      file({ a: `nics: [{net: n, ip: 1.1.1.9}], ${DISK}`, b: `nics: [{net: n, ip: 1.1.1.9}], ${DISK}` }),
      'f:3:23: error: domains.b.nics[0].ip: IP 192.168.200.9 is given twice: to a:nic0 and to b:nic0.',
    ],
    [
      'the gateway as address',
      file({ a: `nics: [{net: n, ip: 1.1.1.1}], ${DISK}` }),
      'f:2:23: error: domains.a.nics[0].ip: IP 192.168.200.1 is given twice: to the gateway and to a:nic0.',
    ],
    [
      'a foreign address',
      file({ a: `nics: [{net: n, ip: 10.0.1.5}], ${DISK}` }, { n: 'gw: 10.0.0.1' }),
      "f:2:23: error: domains.a.nics[0].ip: a:nic0's IP [10.0.1.5] is outside the subnet [10.0.0.1].",
    ],
    [
      'a broadcast address',
      file({ a: `nics: [{net: n, ip: 1.1.1.255}], ${DISK}` }),
      'f:2:23: error: domains.a.nics[0].ip: 192.168.200.255 is the broadcast address of 192.168.200.0/24.',
    ],
    [
      'a subnet twice',
      file({ a: VM }, { n: 'gw: 192.168.210.1, management: true', m: 'gw: 192.168.210.9' }),
      'f:5:7: error: nets.m.gw: The networks n and m have the same subnet 192.168.210.0/24.',
    ],
    [
      'no management card',
      file({ a: `nics: [{net: m}], ${DISK}` }, { n: 'management: true', m: '' }),
      'f:2:7: error: domains.a.nics: VM a has no management network, please connect it to one.',
    ],
    ['no cards', file({ a: DISK }), 'f:2:3: error: domains.a.nics: VM a has no management network, please connect it to one.'],
    [
      'two management cards',
      file({ a: `nics: [{net: n}, {net: m}], ${DISK}` }, { n: 'management: true', m: 'management: true' }),
      'f:2:7: error: domains.a.nics: VM a has more than one management network: n, m. It should have exactly one.',
    ],
    [
      'DNS where there is none',
      file({ a: VM }, { n: 'management: true', m: 'dns_domain_name: x.y' }),
      'f:5:7: error: nets.m.dns_domain_name: The network m is not marked as management but has DNS attributes. DNS is supported only in management networks.',
    ],
    ['half a range', file({ a: VM }, { n: 'dhcp: {start: 2}' }), 'f:4:7: error: nets.n.dhcp: The range of dhcp has no end.'],
    [
      'a range backwards',
      file({ a: VM }, { n: 'dhcp: {start: 9, end: 2}' }),
      'f:4:7: error: nets.n.dhcp: The range of dhcp begins at 9 after its end 2.',
    ],
  ])('%s is an error at its place', (_, text, message) => {
    expect(
      problems(text).some((problem) => problem.startsWith(message)),
      problems(text).join('\n'),
    ).toBe(true);
  });

  it('are 56 at most', () => {
    const nets = Object.fromEntries(Array.from({ length: 57 }, (_, index) => [`n${index}`, '']));
    expect(problems(file({ a: `nics: [{net: n0}], ${DISK}` }, nets))).toEqual([
      'f:60:3: error: nets.n56: No network is free between 192.168.200.0/24 and 192.168.255.0/24. Destroy environments that are no longer used; "lago leases" shows who holds what.',
    ]);
  });

  it('have 253 addresses at most', () => {
    const vms = Object.fromEntries(Array.from({ length: 254 }, (_, index) => [`v${index}`, VM]));
    expect(problems(file(vms))).toEqual([
      'f:255:17: error: domains.v253.nics[0]: The network n has no free address left; it has 253 at most. Use a second network.',
    ]);
  });
});

describe('disks', () => {
  const nics = 'nics: [{net: n}]';
  const disk = (body: string): string => file({ a: `${nics}, disks: [{name: d, dev: vda, ${body}}]` });

  it.each<[string, string]>([
    ['type: empty', 'An empty disk needs a size.'],
    ['type: empty, size: 0', 'It must be a size such as 20G or 512M.'],
    ['type: empty, size: 99E', '"99E" is not a valid disk size.'],
    ['type: empty, size: 1G, format: iso', 'An empty disk cannot have the format iso.'],
    ['type: template', 'A template disk needs a template_name.'],
    ['type: template, template_type: qcow2', 'A disk of template_type qcow2 needs a path.'],
    ['type: template, template_type: qcow2, path: /none', 'Image /none does not exist.'],
    [
      'type: template, template_type: qcow2, path: $BASE/x',
      'Image /srv/lago/$BASE/x does not exist. The environment variable $BASE is not set.',
    ],
    ['type: template, template_name: gone', 'There is no gone. Did you mean "one"?'],
    ['type: file', 'A disk of type file needs a path or a url.'],
    ['type: file, path: /folder', '/folder is a folder, not a disk image.'],
    ['type: file, url: "ftp://x/y"', '"ftp://x/y" is not a URL that can be downloaded.'],
    ['type: file, url: file:///none', 'File /none does not exist.'],
  ])('%s', (body, message) => {
    const change: Partial<PlanContext> = {
      fileInfo: filesOf({ '/folder': { kind: 'folder' } }),
      template: () => ({ missing: 'There is no gone.', nearest: 'one' }),
    };
    let found: string;
    try {
      found = problems(disk(body), change).join('\n');
    } catch (error) {
      found = (error as Error).message;
    }
    expect(found).toContain(message);
  });

  it('tell how each will be created', () => {
    const text = file({
      a: `${nics}, disks: [
      {name: t, type: template, template_name: el7, template_version: v2, dev: vda, metadata: {mine: 1}},
      {name: q, type: template, template_type: qcow2, path: images/base.qcow2, dev: vdb},
      {name: e, type: empty, size: 1.5G, dev: sda, format: raw},
      {name: f, type: file, path: $ISO, dev: hda, format: iso},
      {name: c, type: file, path: $ISO, dev: hdb, format: iso, make_a_copy: yes},
      {name: u, type: file, url: 'https://x.example/y.img', dev: sdb, format: raw}]`,
    });
    const { disks, specs, plan: shown, issues } = plan(text, { env: { ISO: '/srv/x.iso' } });
    expect(issues).toEqual([]);
    expect(disks).toMatchObject([
      { kind: 'template', path: '$LAGO_PREFIX_PATH/images/a_t.qcow2', template: { fullName: 'repo:el7:v2' } },
      { kind: 'layer', image: '/srv/lago/images/base.qcow2' },
      { kind: 'empty', size: 1_610_612_736, path: '$LAGO_PREFIX_PATH/images/a_e.raw' },
      { kind: 'in-place', path: '/srv/x.iso' },
      { kind: 'copy', from: '/srv/x.iso', path: '$LAGO_PREFIX_PATH/images/a_c.iso' },
      { kind: 'download', url: 'https://x.example/y.img', path: '$LAGO_PREFIX_PATH/images/a_u.raw' },
    ]);
    expect(specs.vms[0]?.disks[0]).toMatchObject({ metadata: { mine: 1, distro: 'el7' }, template_name: 'el7' });
    expect(shown.downloads.map((download) => download.name)).toEqual(['repo:el7:v2', 'https://x.example/y.img']);
    expect(shown.vms['a']?.disks.map((planned) => planned.source)).toEqual([
      'repo:el7:v2',
      '/srv/lago/images/base.qcow2',
      null,
      '/srv/x.iso',
      '/srv/x.iso',
      'https://x.example/y.img',
    ]);
  });

  it('of an exported image find their template again', () => {
    const text = disk('type: template, template_type: qcow2, path: $LAGO_INITFILE_PATH/x.qcow2');
    const found = plan(text, { fileInfo: filesOf({ '/srv/lago/x.qcow2': { backing: './repo:el7:v3', format: 'qcow2' } }) });
    expect(found.issues).toEqual([]);
    expect(found.disks).toMatchObject([
      { kind: 'layer', parent: { link: '/srv/lago/repo:el7:v3', template: { fullName: 'repo:el7:v3' } } },
    ]);
    expect(problems(text, { fileInfo: filesOf({ '/srv/lago/x.qcow2': { backing: '/gone.img' } }) })[0]).toContain(
      'Backing file /gone.img is not a Lago image.',
    );
    expect(problems(text, { fileInfo: filesOf({ '/srv/lago/x.qcow2': { backing: 'x.qcow2' } }) })[0]).toContain(
      'Disk d and its backing file are the same file.',
    );
    expect(problems(text, { fileInfo: filesOf({ '/srv/lago/x.qcow2': { backing: 'y' }, '/srv/lago/y': {} }) })).toEqual([]);
  });

  it('cannot share a name or a device', () => {
    const text = file({ a: `${nics}, disks: [{name: d, dev: vda, type: empty, size: 1G}, {name: d, dev: vda, type: empty, size: 1G}]` });
    expect(problems(text)).toEqual([
      'f:2:78: error: domains.a.disks[1].name: VM a has two disks named d; they would share one file.',
      'f:2:87: error: domains.a.disks[1].dev: VM a has two disks at vda. vdb is free.',
    ]);
  });

  it('of an OVA are added when it is unpacked', () => {
    const text = file({ a: `${nics}, type: ova, url: 'file:///srv/x.ova', disks: [{name: d, dev: vdb, type: empty, size: 1G}]` });
    expect(plan(text)).toMatchObject({ ovas: [{ vm: 'a', from: '/srv/x.ova' }], issues: [] });
    expect(plan(text.replace('file:///srv/x.ova', 'http://x/y.ova'))).toMatchObject({ plan: { downloads: [{ name: 'http://x/y.ova' }] } });
    expect(problems(text, { fileInfo: filesOf({}) })[0]).toContain('OVA file /srv/x.ova does not exist.');
  });

  it.each<[string | number, number | undefined]>([
    ['20G', 20 * 1024 ** 3],
    ['512m', 512 * 1024 ** 2],
    ['1.5K', 1536],
    ['10GiB', 10 * 1024 ** 3],
    ['4096', 4096],
    [4096, 4096],
    ['G', undefined],
    ['1X', undefined],
    [-1, undefined],
  ])('%s is %s bytes', (text, bytes) => {
    expect(bytesOf(text)).toBe(bytes);
  });
});

describe('scripts', () => {
  const withScripts = (list: string): string => file({ a: `${VM}, metadata: {deploy-scripts: [${list}]}` });

  it('are copied once and named by the path as given', () => {
    const { scripts, specs, plan: shown } = plan(withScripts('sub/x.sh, $LAGO_INITFILE_PATH/y.sh, sub/x.sh'));
    expect(scripts).toEqual([
      { source: '/srv/lago/sub/x.sh', path: '$LAGO_PREFIX_PATH/scripts/sub_x.sh' },
      { source: '/srv/lago/y.sh', path: '$LAGO_PREFIX_PATH/scripts/_srv_lago_y.sh' },
    ]);
    expect(specs.vms[0]?.metadata['deploy-scripts']).toEqual(
      ['sub_x.sh', '_srv_lago_y.sh', 'sub_x.sh'].map((name) => `$LAGO_PREFIX_PATH/scripts/${name}`),
    );
    expect(shown.vms['a']?.scripts).toEqual(['/srv/lago/sub/x.sh', '/srv/lago/y.sh', '/srv/lago/sub/x.sh']);
  });

  it('that would share a name get different ones', () => {
    expect(plan(withScripts('a/b, a_b')).scripts.map((script) => script.path)).toEqual([
      '$LAGO_PREFIX_PATH/scripts/a_b',
      '$LAGO_PREFIX_PATH/scripts/a_b.2',
    ]);
  });

  it('are looked for beside the init file, then in the current folder', () => {
    const both = { cwd: '/home/me', fileInfo: filesOf({ '/srv/lago/x': {}, '/home/me/x': {}, '/home/me/y': {} }) };
    const found = plan(withScripts('x, y'), both);
    expect(found.scripts.map((script) => script.source)).toEqual(['/srv/lago/x', '/home/me/y']);
    expect(found.issues.map((issue) => [issue.severity, issue.path])).toEqual([
      ['warning', 'domains.a.metadata.deploy-scripts[0]'],
      ['info', 'domains.a.metadata.deploy-scripts[1]'],
    ]);
  });

  it('that are missing are all reported', () => {
    expect(problems(withScripts('x, $Q/y, 7'), { fileInfo: () => undefined }).map((text) => text.replace(/^.*?error: /, ''))).toEqual([
      'domains.a.metadata.deploy-scripts[0]: Script /srv/lago/x does not exist. Relative paths begin at the folder of the init file.',
      'domains.a.metadata.deploy-scripts[1]: Script /srv/lago/$Q/y does not exist. The environment variable $Q is not set.',
      'domains.a.metadata.deploy-scripts[2]: A deploy script is given by its path.',
    ]);
  });
});

describe('VMs', () => {
  it.each<[string, Partial<PlanContext>, string]>([
    ['', {}, 'virt-sysprep'],
    ['bootstrap: false', {}, 'none'],
    ['bootstrap: cloud-init', {}, 'cloud-init'],
    ['cloud-init: {user-data: {}}', {}, 'cloud-init'],
    ['vm-provider: ssh', {}, 'none'],
    ['', { skipBootstrap: true }, 'none'],
  ])('with %j are prepared by their rule', (keys, change, bootstrap) => {
    expect(plan(file({ a: `${VM}${keys === '' ? '' : `, ${keys}`}` }), change).plan.vms['a']?.bootstrap).toBe(bootstrap);
  });

  it('have passwords as Lago gave them, but keep their own', () => {
    const passwords = (keys: string): unknown =>
      plan(file({ a: `${VM}${keys}` })).specs.vms.map((vm) => [vm['root-password'], vm['ssh-password']])[0];
    expect(passwords('')).toEqual([undefined, '123456']);
    expect(passwords(', root-password: 7')).toEqual([7, undefined]);
    expect(passwords(', ssh-password: x')).toEqual([undefined, 'x']);
  });

  it.each([
    ['root-password: x', []],
    ['bootstrap: false', []],
    ['bootstrap: false, root-password: x', ['info domains.a.root-password']],
    ['vm-provider: ssh, root-password: x', []],
  ])('with %j say where a root password is not set', (keys, expected) => {
    const { issues } = plan(file({ a: `${VM}, ${keys}` }));
    expect(issues.filter(({ path }) => path.endsWith('root-password')).map(({ severity, path }) => `${severity} ${path}`)).toEqual(
      expected,
    );
  });

  it.each<[string, string]>([
    ['vm-type: defualt', 'Unknown VM type: defualt. Did you mean default?'],
    ['vm-provider: local-libvrt', 'Unknown VM provider: local-libvrt. Did you mean local-libvirt?'],
    ['cpu_model: Westmere, cpu_custom: {a: 1}', 'cpu_model and cpu_custom cannot be given together.'],
    ['cpu_custom: {"a b": 1}', '"a b" is no name of an XML element or attribute.'],
  ])('%s is an error', (keys, message) => {
    expect(problems(file({ a: `${VM}, ${keys}` })).join()).toContain(message);
  });

  it('list their build steps', () => {
    const text = (build: string): string =>
      file({ a: `nics: [{net: n}], disks: [{name: d, type: template, template_name: t, dev: vda, build: ${build}}]` });
    expect(plan(text('[{virt-customize: {install: vim}}]')).builds).toEqual([
      { vm: 'a', disk: 'd', builder: 'virt-customize', options: { install: 'vim' } },
    ]);
    expect(plan(text('[{virt-customize: {install: vim}}]'), { skipBuild: true }).builds).toEqual([]);
    expect(problems(text('[{packer: {}}]'))[0]).toContain('Unknown builder: "packer".');
  });
});

it('is pure: the same result each time', () => {
  const text = file({ a: VM, b: VM }, { n: '', m: 'gw: 192.168.200.1' });
  expect(plan(text)).toEqual(plan(text));
});
