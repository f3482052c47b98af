import { describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import { formatIssue } from '../../../src-shared/issue.ts';
import { everythingExists } from './plan.test-support.ts';
import { type PlannedEnvironment, planEnvironment } from './plan.ts';
import type { FileInfo, PlanContext } from './plan-context.ts';

function plan(disks: string, change: Partial<PlanContext> = {}, keys = ''): PlannedEnvironment {
  const text = `domains:\n  a: {nics: [{net: n}]${keys}, disks: [${disks}]}\nnets:\n  n: {management: true}\n`;
  const { value, issues } = parseInitFile(text, 'f');
  if (value === undefined) throw new Error(issues.map(formatIssue).join('\n'));
  return planEnvironment(value, everythingExists({ workdirPath: '/srv/lago/.lago', ...change }));
}

const messages = (planned: PlannedEnvironment): readonly string[] => planned.issues.map((issue) => `${issue.severity}: ${issue.message}`);

function filesOf(files: Record<string, Partial<FileInfo>>): PlanContext['fileInfo'] {
  return (path) => (Object.hasOwn(files, path) ? { kind: 'file', size: 10, ...files[path] } : undefined);
}

describe('a download', () => {
  const disk = (keys: string): string => `{name: d, type: file, dev: sda, format: raw, url: 'http://x/y.raw'${keys}}`;

  it('is stored in the environment', () => {
    const planned = plan(disk(''));
    expect(planned.disks).toMatchObject([{ kind: 'download', url: 'http://x/y.raw', path: '$LAGO_PREFIX_PATH/images/a_d.raw' }]);
    expect(planned.disks[0]).not.toHaveProperty('keptAt');
  });

  it.each([
    ['images/y.raw', '/srv/lago/images/y.raw'],
    ['$LAGO_PREFIX_PATH/y.raw', '/srv/lago/.lago/default/y.raw'],
    ['$LAGO_WORKDIR_PATH/y.raw', '/srv/lago/.lago/y.raw'],
  ])('with the path %s goes there', (path, keptAt) => {
    const planned = plan(disk(`, path: ${path}`), { fileInfo: filesOf({}) });
    expect(planned.issues).toEqual([]);
    expect(planned.disks).toMatchObject([{ kind: 'download', path: keptAt, keptAt }]);
    expect(planned.specs.vms[0]?.disks[0]?.path).toBe(keptAt);
    expect(plan(disk(`, path: ${path}, make_a_copy: yes`), { fileInfo: filesOf({}) }).disks).toMatchObject([
      { kind: 'download', path: '$LAGO_PREFIX_PATH/images/a_d.raw', keptAt },
    ]);
  });

  it.each(['/etc/cron.d/x', '../x', '$HOME/.profile', '.ssh/authorized_keys', 'sub/.hidden'])('is not kept at %s', (path) => {
    const planned = plan(disk(`, path: ${path}`), { fileInfo: filesOf({}), env: { HOME: '/srv/lago' } });
    expect(messages(planned)[0]).toContain('error: A download is not kept at /');
    expect(planned.disks).toEqual([]);
  });

  it('is skipped when its file exists', () => {
    const planned = plan(disk(', path: y.raw'), { fileInfo: filesOf({ '/srv/lago/y.raw': {} }) });
    expect(planned.disks).toMatchObject([{ kind: 'in-place', path: '/srv/lago/y.raw' }]);
    expect(planned.plan.downloads).toEqual([]);
    expect(messages(planned)).toEqual(['info: /srv/lago/y.raw exists and is used; nothing is downloaded.']);
  });

  it('of a local file is a copy, unless it must be decompressed or kept', () => {
    const local = (url: string, keys = ''): unknown =>
      plan(`{name: d, type: file, dev: sda, format: raw, url: '${url}'${keys}}`, {
        fileInfo: (path) => (path.startsWith('/srv/lago/new') ? undefined : { kind: 'file', size: 5 }),
      }).disks;
    expect(local('file:///x/a%20b.raw')).toMatchObject([{ kind: 'copy', from: '/x/a b.raw' }]);
    expect(local('file:///x/y.raw.xz')).toMatchObject([{ kind: 'download', url: 'file:///x/y.raw.xz' }]);
    expect(local('file:///x/y.raw', ', path: new.raw')).toMatchObject([
      { kind: 'download', url: 'file:///x/y.raw', keptAt: '/srv/lago/new.raw' },
    ]);
  });
});

describe('a file', () => {
  const problem = (format: string, info: Partial<FileInfo>): readonly string[] =>
    messages(plan(`{name: d, type: file, dev: sda, format: ${format}, path: /x}`, { fileInfo: filesOf({ '/x': info }) }));

  it('must have the format that the disk declares', () => {
    expect(problem('qcow2', { format: 'raw' })).toEqual(['error: /x is raw, not qcow2.']);
    expect(problem('raw', { format: 'qcow2' })).toEqual(['warning: /x looks like qcow2, but is used as raw.']);
    expect(problem('iso', { format: 'qcow2' })).toEqual(['error: /x is qcow2, not iso.']);
    expect(problem('iso', { format: 'raw' })).toEqual([]);
    expect(problem('qcow2', {})).toEqual([]);
  });

  it('is not a device', () => expect(problem('raw', { kind: 'other' })).toEqual(['error: /x is a device or pipe, not a disk image.']));
});

describe('the images below an image', () => {
  const layer = '{name: d, type: template, template_type: qcow2, path: /i/top.qcow2, dev: vda}';

  it('are followed to the template that is missing', () => {
    const fileInfo = filesOf({ '/i/top.qcow2': { backing: '../j/middle.qcow2' }, '/j/middle.qcow2': { backing: './repo:el7:v3' } });
    expect(plan(layer, { fileInfo }).disks).toMatchObject([
      { kind: 'layer', parent: { link: '/j/repo:el7:v3', template: { fullName: 'repo:el7:v3' } } },
    ]);
  });

  it('may not form a cycle', () => {
    const fileInfo = filesOf({ '/i/top.qcow2': { backing: 'b' }, '/i/b': { backing: 'top.qcow2' } });
    expect(messages(plan(layer, { fileInfo }))).toEqual(['error: Disk d and its backing file are the same file.']);
  });

  it('linked by an earlier environment count as used', () => {
    const of = (target: string): PlannedEnvironment =>
      plan(layer, { fileInfo: filesOf({ '/i/top.qcow2': { backing: './el7:v3' }, '/i/el7:v3': { target } }) });
    expect(of('/store/repo:el7:v3').disks).toMatchObject([{ parent: { link: '/i/el7:v3', template: { fullName: 'repo:el7:v3' } } }]);
    expect(of('/elsewhere/el7:v3').disks[0]).not.toHaveProperty('parent');
    expect(of('/elsewhere/el7:v3').issues).toEqual([]);
  });

  it('is unpacked if an export compressed it, and uses its template directly', () => {
    const packed = { packed: '/i/top.qcow2.xz', format: 'qcow2', virtualSize: 4096, size: 0 };
    const planned = plan(layer, { fileInfo: filesOf({ '/i/top.qcow2': { ...packed, backing: './el7:v3' } }) });
    expect(planned.issues).toEqual([]);
    expect(planned.disks).toMatchObject([
      {
        kind: 'unpack',
        packed: '/i/top.qcow2.xz',
        image: '/i/top.qcow2',
        path: '$LAGO_PREFIX_PATH/images/a_d.qcow2',
        parent: { link: '/i/el7:v3' },
      },
    ]);
    const copy = '{name: d, type: file, dev: vda, path: /i/top.qcow2, make_a_copy: yes}';
    for (const disk of [copy, copy.replace(', make_a_copy: yes', '')]) {
      expect(plan(disk, { fileInfo: filesOf({ '/i/top.qcow2': packed }) })).toMatchObject({
        issues: [],
        disks: [{ kind: 'unpack', packed: '/i/top.qcow2.xz' }],
        plan: { vms: { a: { disks: [{ size: 4096, source: '/i/top.qcow2.xz' }] } } },
      });
    }
    const url = '{name: d, type: file, dev: vda, url: file:///i/top.qcow2}';
    expect(messages(plan(url, { fileInfo: filesOf({ '/i/top.qcow2': packed }) }))).toEqual(['error: File /i/top.qcow2 does not exist.']);
  });
});

it('IDE has four slots', () => {
  const iso = (name: string, dev: string): string => `{name: ${name}, type: file, dev: ${dev}, format: iso, path: /x}`;
  const four = [iso('a', 'hda'), iso('b', 'hdb'), iso('c', 'vdc'), iso('d', 'vdd')];
  expect(messages(plan(four.join()))).toEqual([]);
  expect(messages(plan([...four, iso('e', 'sda')].join()))).toEqual([]);
  expect(messages(plan([...four, iso('e', 'vde')].join()))).toEqual(['error: VM a has more than 4 disks and CD-ROMs on IDE.']);
});

it('no disk has more than 1 PiB', () => {
  expect(messages(plan('{name: d, type: empty, dev: vda, size: 1025T}'))).toEqual(['error: "1025T" is not a valid disk size.']);
});

it('an OVA overrides memory and CPUs, and its first disk alone decides', () => {
  const own = '{name: d, type: template, template_name: t, dev: vdb}';
  const change: Partial<PlanContext> = {
    template: () => ({
      fullName: 'r:t:1',
      version: '1',
      distro: 'el9',
      size: 1,
      cached: true,
      metadata: { 'cloud-init': true, distro: 'el9' },
      downloadSize: 0,
    }),
    defaults: { ...everythingExists().defaults, bootstrap: 'none' },
  };
  const planned = plan(own, change, ", type: ova, url: 'http://x/y.ova', memory: 512, vcpu: 3");
  expect(messages(planned)).toEqual([
    'info: memory has no effect where the OVA says how much its VM has.',
    'info: vcpu has no effect where the OVA says how much its VM has.',
  ]);
  expect(planned.plan.vms['a']).toMatchObject({ bootstrap: 'none', distro: null });
  expect(planned.plan.vms['a']?.disks.map((disk) => disk.dev)).toEqual(['vda', 'vdb']);
});

describe('an image that this user', () => {
  const info = filesOf({ '/srv/lago/d.raw': { problem: 'it may not be read' }, '/srv/lago/w.raw': { writable: false } });
  const errors = (keys: string, change: Partial<PlanContext> = {}): readonly string[] =>
    messages(plan(`{name: d, dev: sda, format: raw, ${keys}}`, { fileInfo: info, ...change })).filter((text) => text.startsWith('error'));

  it('cannot read is rejected', () => {
    expect(errors('type: file, path: d.raw')).toEqual(['error: File /srv/lago/d.raw cannot be used: it may not be read.']);
    expect(errors('type: file, path: d.raw, make_a_copy: true')).toHaveLength(1);
  });
  it('cannot write is not a disk', () => {
    expect(errors('type: file, path: w.raw')).toEqual(['error: File /srv/lago/w.raw is not writable, and a guest writes to its disk.']);
    expect(errors('type: file, path: w.raw, make_a_copy: true')).toEqual([]);
  });
  it('cannot use is left to a libvirt with more rights', () => {
    const machines = { opensImagesItself: false };
    for (const name of ['d', 'w']) expect(errors(`type: file, path: ${name}.raw`, machines)).toEqual([]);
    expect(errors('type: file, path: d.raw, make_a_copy: true', machines)).toHaveLength(1);
  });
});
