import type { z } from 'zod';
import type { BootState } from '../../src-shared/boot.ts';
import type { Inspection } from '../../src-shared/contract.ts';
import type { Issue } from '../../src-shared/issue.ts';
import type { OperationState } from '../../src-shared/operation.ts';
import type { LibraryState, MachineState, PrefixState, VmState } from '../../src-shared/state.ts';
import { demoEvents, demoPoints, manyPoints } from './demo-timeline.ts';

const GIB = 1024 ** 3;
const MINUTE = 60_000;
const START = Date.now();

export const MACHINE: MachineState = {
  accelerator: 'kvm',
  memoryFree: 18.2 * GIB,
  memoryTotal: 32 * GIB,
  cpus: 8,
  diskFree: 214 * GIB,
  checks: [
    { id: 'kvm', title: 'Hardware virtualisation', state: 'ok', detail: '/dev/kvm can be opened.', remedy: null, command: null },
    { id: 'qemu', title: 'QEMU', state: 'ok', detail: 'QEMU 7.2.17 at /usr/bin/qemu-system-x86_64.', remedy: null, command: null },
    {
      id: 'libvirt',
      title: 'libvirt daemon',
      state: 'ok',
      detail: 'libvirtd 9.0.0; embedded hosts start a private one.',
      remedy: null,
      command: null,
    },
    {
      id: 'passt',
      title: 'Internet access for guests',
      state: 'warning',
      detail: 'Neither pasta nor slirp4netns is installed: guests reach each other, but not the outside.',
      remedy: 'Install passt, then check again.',
      command: 'sudo apt install passt',
    },
    {
      id: 'sysprep',
      title: 'virt-sysprep',
      state: 'warning',
      detail: 'Not installed: templates without cloud-init cannot be personalised.',
      remedy: 'Install the guestfs tools.',
      command: 'sudo apt install guestfs-tools',
    },
  ],
};

export function vm(name: string, change: Partial<VmState> = {}): VmState {
  return {
    name,
    status: 'running',
    distro: 'el9',
    memory: 2048,
    vcpu: 2,
    ip: '192.168.200.2',
    nics: [{ name: 'eth0', network: 'front-net', ip: '192.168.200.2', mac: '54:52:c0:a8:c8:02' }],
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', path: `/w/images/${name}.qcow2` }],
    snapshots: [],
    metadata: {},
    ssh: 'ready',
    startedAt: START - 250_000,
    crash: null,
    boot: null,
    screen: true,
    ...change,
  };
}

function nics(...rows: readonly [string, string | null][]): VmState['nics'] {
  return rows.map(([network, ip], index) => ({ name: `eth${index}`, network, ip, mac: '54:52:c0:a8:c8:02' }));
}

/** A guest whose login is refused. */
const HUNG_BOOT: BootState = {
  stages: [
    { id: 'started', state: 'done', at: START - 31_000, evidence: 'QEMU runs' },
    { id: 'bootloader', state: 'passed', at: null, evidence: null },
    { id: 'kernel', state: 'done', at: START - 29_400, evidence: '[    0.000000] Linux version 6.1.0-18-amd64' },
    { id: 'address-asked', state: 'done', at: START - 22_000, evidence: 'DHCPDISCOVER 54:52:c0:a8:c8:02' },
    { id: 'address-given', state: 'done', at: START - 22_000, evidence: 'DHCPACK 192.168.201.3 54:52:c0:a8:c8:02 db' },
    { id: 'ssh', state: 'done', at: START - 18_000, evidence: 'port 22 is open' },
    { id: 'login', state: 'waiting', at: null, evidence: null },
  ],
  hang: {
    stage: 'login',
    word: 'login refused',
    cause: 'db refuses the login of root: neither the key of the environment nor the password is accepted.',
    next: 'Check ssh-user, ssh-password and root-password of the VM, and that its image takes the key (bootstrap).',
    lines: [],
  },
};

export const SHOP: PrefixState = {
  id: 'a'.repeat(32),
  name: 'shop-cluster',
  path: '/home/eva/.local/share/lago/environments/shop-cluster',
  workdir: '/home/eva/.local/share/lago/environments',
  phase: 'ready',
  problem: null,
  initFile: '/home/eva/work/shop/init.json',
  host: {
    kind: 'embedded',
    uri: 'qemu:///system?socket=/run/user/1000/lago/a/libvirt-sock',
    status: 'up',
    accelerator: 'kvm',
    uplink: 'pasta',
    problem: null,
  },
  vms: [
    vm('web', { ip: '192.168.200.2', nics: nics(['front-net', '192.168.200.2'], ['back-net', '192.168.201.2']) }),
    vm('db', {
      memory: 4096,
      vcpu: 4,
      distro: 'debian12',
      ip: '192.168.201.3',
      nics: nics(['back-net', '192.168.201.3']),
      startedAt: START - 31_000,
      ssh: 'waiting',
      boot: HUNG_BOOT,
    }),
    vm('app', {
      status: 'down',
      ssh: 'off',
      ip: '192.168.200.4',
      nics: nics(['front-net', '192.168.200.4']),
      startedAt: null,
      screen: false,
    }),
  ],
  networks: [
    {
      name: 'front-net',
      type: 'nat',
      status: 'up',
      gateway: '192.168.200.1',
      management: true,
      dhcp: { start: 100, end: 254 },
      domain: 'shop.lago.local',
    },
    {
      name: 'back-net',
      type: 'nat',
      status: 'up',
      gateway: '192.168.201.1',
      management: false,
      dhcp: { start: 100, end: 254 },
      domain: null,
    },
    { name: 'lan', type: 'bridge', status: 'down', gateway: null, management: false, dhcp: null, domain: null },
  ],
  events: demoEvents(START),
  forkedFrom: null,
  snapshots: demoPoints(START),
  deploy: [
    {
      vm: 'web',
      scripts: [
        { name: 'setup_packages.sh', state: 'ok', code: 0, startedAt: START - 600_000, endedAt: START - 571_000 },
        { name: 'setup_site.sh', state: 'failed', code: 3, startedAt: START - 571_000, endedAt: START - 564_000 },
        { name: 'setup_smoke-test.sh', state: 'pending', code: null, startedAt: null, endedAt: null },
      ],
    },
    { vm: 'db', scripts: [{ name: 'setup_db.sh', state: 'ok', code: 0, startedAt: START - 600_000, endedAt: START - 412_000 }] },
  ],
  diskUsage: 2.14 * GIB,
  busy: null,
};

export const OVIRT: PrefixState = {
  ...SHOP,
  id: 'b'.repeat(32),
  name: 'ovirt-4.0',
  path: '/home/eva/ost/deployment-basic/default',
  workdir: '/home/eva/ost/deployment-basic',
  host: { ...SHOP.host, status: 'down' },
  vms: ['engine', 'host-0', 'host-1'].map((name) => vm(name, { status: 'down', ssh: 'off', startedAt: null, distro: 'el7' })),
  networks: [
    {
      name: 'lago-management',
      type: 'nat',
      status: 'down',
      gateway: '192.168.203.1',
      management: true,
      dhcp: { start: 100, end: 254 },
      domain: 'lago.local',
    },
  ],
  snapshots: [],
  events: [],
  deploy: [],
  diskUsage: 38.7 * GIB,
};

/** An environment that goes on from a snapshot of the first. */
export const FORKED: PrefixState = {
  ...SHOP,
  id: 'f'.repeat(32),
  name: 'shop-upgrade',
  path: '/home/eva/.local/share/lago/environments/shop-upgrade',
  forkedFrom: { id: SHOP.id, at: START - 50 * MINUTE, snapshot: 'postgres' },
  snapshots: SHOP.snapshots.filter(({ name }) => name === 'postgres').map((one) => ({ ...one, parent: null, current: true })),
  events: [],
  deploy: [],
  diskUsage: 0.1 * GIB,
};

/** The first environment with that many points in its history. */
export function withPoints(number: number): PrefixState {
  return { ...SHOP, snapshots: manyPoints(START, number), events: number > 5 ? SHOP.events : [] };
}

/** An environment whose libvirt died or hangs, so that the state of its VMs is unknown. */
export const UNUSABLE: PrefixState = {
  ...SHOP,
  host: { ...SHOP.host, status: 'unusable', problem: 'The private libvirt of shop-cluster does not answer.' },
  vms: SHOP.vms.map((vm) => ({ ...vm, status: 'unknown', ssh: 'unknown', startedAt: null })),
};

export const BROKEN: PrefixState = {
  ...OVIRT,
  id: 'c'.repeat(32),
  name: 'old-lab',
  path: '/srv/lago/old-lab',
  phase: 'broken',
  problem: 'virt/env names the VM "client", but virt/vm-client is missing.',
  vms: [],
  networks: [],
  deploy: [],
  diskUsage: 0.4 * GIB,
};

function planned(ip: string, net: string, size: number): NonNullable<Inspection['plan']>['vms'][string] {
  return {
    memory: 2048,
    vcpu: 2,
    mgmt_net: 'front-net',
    nics: [{ net, ip, mac: '54:52:c0:a8:c8:02' }],
    disks: [
      {
        name: 'root',
        dev: 'vda',
        format: 'qcow2',
        path: '$LAGO_PREFIX_PATH/images/root.qcow2',
        type: 'template',
        source: 'default:el9-base:v1',
        size: size * GIB,
      },
    ],
    distro: 'el9',
    groups: ['servers'],
    scripts: ['/home/eva/work/shop/setup.sh'],
    bootstrap: 'cloud-init',
  };
}

function issue(severity: Issue['severity'], line: number, column: number, path: string, message: string, hint?: string): Issue {
  return { file: '/home/eva/work/shop/init.json', line, column, path, severity, message, ...(hint === undefined ? {} : { hint }) };
}

export function inspection(path: string, broken: boolean): z.input<typeof Inspection> {
  const vms = {
    web: planned('192.168.200.2', 'front-net', 6),
    db: {
      ...planned('192.168.201.3', 'back-net', 6),
      memory: 4096,
      disks: [
        ...planned('', '', 6).disks,
        { name: 'data', dev: 'vdb', format: 'raw', path: '/x', type: 'empty', source: null, size: 20 * GIB },
      ],
    },
  };
  const issues = [
    issue('warning', 14, 7, 'domains.web.artefacts', '“artefacts” is not a key that Lago knows.', 'Did you mean “artifacts”?'),
    issue('info', 0, 0, '', 'Addresses of this plan are proposals; they are leased at creation.'),
    ...(broken
      ? [
          issue('error', 22, 18, 'domains.db.nics[0].net', 'There is no network “bak-net”.', 'Networks of this file: front-net, back-net.'),
          issue('error', 31, 5, 'nets.back-net.type', '“natt” is not a network type.', 'Use “nat” or “bridge”.'),
        ]
      : []),
  ];
  const plan = {
    vms,
    nets: {
      'front-net': {
        type: 'nat' as const,
        gw: '192.168.200.1',
        management: true,
        dhcp: { start: 100, end: 254 },
        dns_domain_name: 'shop.lago.local',
        mapping: { web: '192.168.200.2', 'web-eth0': '192.168.200.2' },
        dns_records: {},
        mtu: null,
      },
      'back-net': {
        type: 'nat' as const,
        gw: '192.168.201.1',
        management: false,
        dhcp: { start: 100, end: 254 },
        dns_domain_name: null,
        mapping: { db: '192.168.201.3' },
        dns_records: { 'db.shop': '192.168.201.3' },
        mtu: 9000,
      },
    },
    downloads: [{ name: 'default:el9-base:v1', from: 'https://templates.example.org/el9', size: 642 * 1024 ** 2 }],
    issues,
  };
  return {
    file: path,
    name: 'demo',
    workdir: SHOP.workdir ?? '',
    issues,
    outside: [],
    memory: 6144,
    disk: 1.4 * GIB,
    ...(broken ? {} : { plan }),
  };
}

export const FAILED: OperationState = {
  id: 'op-failed',
  kind: 'start',
  label: 'Start ovirt-4.0',
  prefix: OVIRT.id,
  status: 'failed',
  fraction: 0.4,
  startedAt: START - 95_000,
  endedAt: START - 30_000,
  steps: [
    { id: '1', label: 'Start the host', status: 'succeeded', fraction: 1, startedAt: START - 95_000, endedAt: START - 92_000, steps: [] },
    {
      id: '2',
      label: 'Start networks',
      status: 'failed',
      fraction: 0.5,
      startedAt: START - 92_000,
      endedAt: START - 30_000,
      steps: [
        {
          id: '2a',
          label: 'lago-management',
          status: 'failed',
          fraction: 0.2,
          detail: 'libvirt refused',
          startedAt: START - 92_000,
          endedAt: START - 30_000,
          steps: [],
        },
      ],
    },
  ],
  logLines: 4,
  error: {
    code: 'hypervisor.failed',
    message: 'The network lago-management could not be started: port 53 of 192.168.203.1 is in use.',
    hint: 'Stop the DNS server that listens on all addresses, or use an embedded host.',
    details: {
      call: 'virNetworkCreate',
      'libvirt code': 38,
      'libvirt domain': 19,
      stderr: 'dnsmasq: failed to create listening socket for 192.168.203.1: Address already in use',
    },
  },
};

/** Log of the failed operation. */
export const FAILED_LOG: readonly string[] = [
  'host: private libvirtd is up',
  'network lago-management: create',
  'libvirt: error 38: Failed to bind 192.168.203.1:53: Address already in use',
  'undo: networks removed',
];

export const FAILED_FETCH: OperationState = {
  id: 'op-failed-fetch',
  kind: 'fetch',
  label: 'Download template lago:rocky-9:latest',
  template: 'lago:rocky-9:latest',
  status: 'failed',
  paused: false,
  fraction: 0.1,
  startedAt: START - 20_000,
  endedAt: START - 15_000,
  steps: [],
  logLines: 0,
  error: {
    code: 'remote.unreachable',
    message: 'https://images.example/lago/rocky-9/ cannot be downloaded: connect ECONNREFUSED.',
    hint: 'Check the network connection and the proxy settings, then try again.',
    details: { attempts: 2 },
  },
};

const image = (
  template: string,
  version: string,
  over: Partial<LibraryState['templates'][number]['versions'][number]> = {},
): LibraryState['templates'][number]['versions'][number] => ({
  fullName: `${template}:${version}`,
  version,
  moving: false,
  cached: false,
  size: null,
  virtualSize: null,
  format: null,
  publishedAt: null,
  usedAt: null,
  usedBy: [],
  from: `https://images.example/${template.replace(':', '/')}-${version}.qcow2`,
  operation: null,
  ...over,
});
const stored = { cached: true, format: 'qcow2' as const };

export const LIBRARY: LibraryState = {
  store: '/var/lib/lago/store',
  problem: null,
  size: 3.1 * GIB,
  unused: 1.2 * GIB,
  repositoriesDir: '/var/lib/lago/repos',
  repositories: [
    { name: 'lago', location: '/usr/share/lago-desktop/resources/templates/repo.json', kind: 'built-in', problem: null, templates: 3 },
    { name: 'office', location: '/var/lib/lago/repos/office-templates/office.json', kind: 'added', problem: null, templates: 1 },
    {
      name: 'old.json',
      location: '/var/lib/lago/repos/office-templates/old.json',
      kind: 'added',
      problem: 'The template repository /var/lib/lago/repos/office-templates/old.json is not valid JSON: Unexpected end of JSON input',
      templates: 0,
    },
  ],
  templates: [
    {
      id: 'lago:debian-12',
      name: 'debian-12',
      repository: 'lago',
      title: 'Debian 12 (bookworm)',
      distro: 'debian12',
      cloudInit: true,
      versions: [
        image('lago:debian-12', 'latest', { moving: true }),
        image('lago:debian-12', '20261005-2247', {
          ...stored,
          size: 0.4 * GIB,
          virtualSize: 3 * GIB,
          usedAt: START - 90 * MINUTE,
          usedBy: [{ name: SHOP.name, path: SHOP.path }],
        }),
        image('lago:debian-12', '20260811-2013', {
          ...stored,
          size: 0.4 * GIB,
          virtualSize: 3 * GIB,
          usedAt: START - 60 * 24 * 60 * MINUTE,
        }),
      ],
    },
    {
      id: 'lago:fedora',
      name: 'fedora',
      repository: 'lago',
      title: 'Fedora, newest release',
      distro: 'fedora',
      cloudInit: true,
      versions: [image('lago:fedora', 'latest', { moving: true })],
    },
    {
      id: 'lago:rocky-9',
      name: 'rocky-9',
      repository: 'lago',
      title: 'Rocky Linux 9',
      distro: 'el9',
      cloudInit: true,
      versions: [image('lago:rocky-9', 'latest', { moving: true })],
    },
    {
      id: 'office:el7-base',
      name: 'el7-base',
      repository: 'office',
      title: 'el7-base',
      distro: 'el7',
      cloudInit: false,
      versions: [
        image('office:el7-base', 'v2', {
          ...stored,
          format: 'raw',
          size: 1.5 * GIB,
          virtualSize: 6 * GIB,
          publishedAt: START - 400 * 24 * 60 * MINUTE,
          usedAt: START - 24 * 60 * MINUTE,
          usedBy: [{ name: OVIRT.name, path: OVIRT.path }],
        }),
        image('office:el7-base', 'v1', {
          ...stored,
          format: 'raw',
          size: 0.8 * GIB,
          virtualSize: 6 * GIB,
          publishedAt: START - 900 * 24 * 60 * MINUTE,
          usedAt: START - 300 * 24 * 60 * MINUTE,
          from: null,
        }),
      ],
    },
  ],
};

/** What the user chooses in the system's file dialog. */
export const CHOSEN = {
  'init file': '/home/eva/work/shop/init.json',
  file: '/home/eva/work/shop/notes.txt',
  directory: '/home/eva/work/shop/site',
  save: '/home/eva/saved',
} as const;
