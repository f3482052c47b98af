import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { Issue } from '../../../src-shared/issue.ts';
import { settingsIn } from '../configuration/settings.test-support.ts';
import type { EngineSettings } from '../configuration/settings.ts';
import { silentLog } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import { createRegistry } from '../plugins/registry.ts';
import { type Draft, draftEnvironment } from './draft.ts';

/** A folder from a stranger (`theirs`), with files of the user beside it. */
let root: string;
let settings: EngineSettings;

const at = (...parts: readonly string[]): string => join(root, ...parts);

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'lago-files-')));
  for (const folder of ['theirs/deep', 'store', 'repos', 'mine/folder']) await mkdir(at(folder), { recursive: true });
  await writeFile(at('repo.json'), JSON.stringify({ name: 'none', sources: {}, templates: {} }));
  await writeFile(at('mine/key'), 'secret');
  await writeFile(at('theirs/plain.img'), Buffer.alloc(4096));
  await writeFile(at('theirs/script.sh'), '#!/bin/sh\n');
  await writeFile(at('theirs/good.cfg'), '#cloud-config\npackages: [vim]\n');
  await writeFile(at('theirs/broken.cfg'), 'packages: [vim\n');
  await writeFile(at('theirs/list.cfg'), '- a\n');
  await writeFile(
    at('theirs/bomb.cfg'),
    `a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c]\n`,
  );
  await symlink('../mine/key', at('theirs/to-key'));
  await symlink('plain.img', at('theirs/to-plain'));
  await symlink('loop', at('theirs/loop'));
  await symlink('../mine', at('theirs/to-mine'));
  await runChecked(['mkfifo', at('theirs/pipe')], 'mkfifo failed.');
  const image = async (name: string, ...more: readonly string[]): Promise<unknown> =>
    await runChecked(['qemu-img', 'create', '-q', '-f', 'qcow2', ...more, at('theirs', name), '1M'], 'qemu-img failed.');
  await image('alone.qcow2');
  await image('over-plain.qcow2', '-F', 'raw', '-b', 'plain.img');
  await image('over-key.qcow2', '-u', '-F', 'raw', '-b', at('mine/key'));
  await image('over-over-key.qcow2', '-u', '-F', 'qcow2', '-b', 'over-key.qcow2');
  await image('over-none.qcow2', '-u', '-F', 'raw', '-b', 'none.img');
  await image('over-nbd.qcow2', '-u', '-F', 'raw', '-b', 'nbd://192.0.2.1/x');
  await image('with-data.qcow2', '-o', `data_file=${at('mine/data')}`);
  await writeFile(
    at('theirs/parts.vmdk'),
    `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 1 FLAT "${at('mine/key')}" 0\n`,
  );
  settings = settingsIn(root, { templateRepoPath: at('repo.json') });
});
afterAll(async () => await rm(root, { recursive: true, force: true }));

interface Change {
  /** Keys of the only disk; default: a `file` disk of format raw. */
  readonly disk?: object;
  readonly vm?: object;
  readonly nets?: object;
}

async function draft(change: Change, allowPaths: readonly string[] = [], cwd = root): Promise<Draft> {
  const disk = { name: 'd', dev: 'vda', type: 'file', format: 'raw', path: 'plain.img', ...change.disk };
  const disks = change.vm !== undefined && 'type' in change.vm ? [] : [disk];
  const text = stringify({ domains: { vm: { nics: [{ net: 'net' }], disks, ...change.vm } }, nets: { net: {}, ...change.nets } });
  const initFile = at('theirs', `${createHash('sha1').update(text).digest('hex')}.yaml`);
  await writeFile(initFile, text);
  return await draftEnvironment({ settings, resourcesDir: root, plugins: createRegistry() }, silentLog, {
    initFile,
    root: at('work/default'),
    workdir: at('work'),
    host: { kind: 'embedded', uplink: 'none' },
    cwd,
    allowPaths,
  });
}

const errorsOf = (made: Draft): readonly Issue[] => made.issues.filter((issue) => issue.severity === 'error');

const qcow2 = { format: 'qcow2' };
const DISK = 'domains.vm.disks[0].path';

describe('a file that did not come with the init file needs permission', () => {
  const outside: readonly (readonly [string, Change, access: 'read' | 'write', key: string])[] = [
    ['a disk in place', { disk: { path: '../mine/key' } }, 'write', DISK],
    ['a disk in place, by a link', { disk: { path: 'to-key' } }, 'write', DISK],
    ['a disk in place, by a link to its folder', { disk: { path: 'to-mine/key' } }, 'write', DISK],
    ['a read-only disk', { disk: { path: '../mine/key', readonly: true } }, 'read', DISK],
    ['a CD-ROM', { disk: { path: '../mine/key', format: 'iso', dev: 'hdc' } }, 'read', DISK],
    ['a copy', { disk: { path: '../mine/key', make_a_copy: true } }, 'read', DISK],
    ['a copy by URL', { disk: { path: undefined, url: 'file:../mine/key' } }, 'read', 'domains.vm.disks[0].url'],
    ['a layer', { disk: { type: 'template', template_type: 'qcow2', format: 'qcow2', path: '../mine/key' } }, 'read', DISK],
    ['what an image lies on', { disk: { ...qcow2, path: 'over-key.qcow2' } }, 'read', DISK],
    ['what that lies on', { disk: { ...qcow2, path: 'over-over-key.qcow2', make_a_copy: true } }, 'read', DISK],
    [
      'what a layer lies on in the end',
      { disk: { type: 'template', template_type: 'qcow2', format: 'qcow2', path: 'over-over-key.qcow2' } },
      'read',
      DISK,
    ],
    ['a deploy script', { vm: { metadata: { 'deploy-scripts': ['../mine/key'] } } }, 'read', 'domains.vm.metadata.deploy-scripts[0]'],
    ['user-data', { vm: { 'cloud-init': { 'user-data': { path: '../mine/key' } } } }, 'read', 'domains.vm.cloud-init.user-data.path'],
    ['an OVA', { vm: { type: 'ova', url: '../mine/key' } }, 'read', 'domains.vm.url'],
    ...['upload', 'uplo', 'copy-in', 'run', 'firstboot', 'tar-in'].map(
      (option) =>
        [
          `the file of ${option}`,
          { disk: { build: [{ 'virt-customize': { [option]: `../mine/key${/run|first/.test(option) ? '' : ':/tmp'}` } }] } },
          'read',
          'domains.vm.disks[0].build[0].virt-customize',
        ] as const,
    ),
    ...['ssh-inject', 'root-password'].map(
      (option) =>
        [
          `the file of ${option}`,
          { disk: { build: [{ 'virt-customize': { [option]: 'root:file:../mine/key' } }] } },
          'read',
          'domains.vm.disks[0].build[0].virt-customize',
        ] as const,
    ),
  ];
  it.each(outside)('%s', async (_what, change, access, key) => {
    const made = await draft(change);
    const asked = errorsOf(made).filter((issue) => issue.about === 'consent');
    expect(asked).toMatchObject([{ path: key, hint: expect.stringContaining(`--allow-path ${at('mine/key')}`) as string }]);
    expect(asked[0]?.line).toBeGreaterThan(0);
    expect(asked[0]?.message).toContain(at('mine/key'));
    expect(made.outside).toEqual([{ path: at('mine/key'), access, key }]);
    for (const yes of [at('mine/key'), at('mine'), 'mine', 'theirs/to-key']) {
      const allowed = await draft(change, [yes]);
      expect(errorsOf(allowed).filter((issue) => issue.about === 'consent')).toEqual([]);
      expect(allowed.outside).toEqual(made.outside);
    }
    expect(errorsOf(await draft(change, ['mine/other'])).filter((issue) => issue.about === 'consent')).toHaveLength(1);
  });

  it.each([
    ['a data file', { disk: { ...qcow2, path: 'with-data.qcow2' } }, 'with-data.qcow2'],
    ['extents of a VMDK', { disk: { format: 'vmdk', path: 'parts.vmdk' } }, 'parts.vmdk'],
  ])('%s, which only permission for the image allows', async (_what, change, name) => {
    const made = await draft(change);
    expect(errorsOf(made)).toMatchObject([{ about: 'consent', path: DISK }]);
    expect(errorsOf(await draft(change, [at('theirs', name)]))).toEqual([]);
  });

  it('the current folder is not the init file’s', async () => {
    const made = await draft({ disk: { path: 'key' } }, [], at('mine'));
    expect(errorsOf(made)).toMatchObject([{ about: 'consent', path: DISK }]);
  });

  it('a download is not kept behind a link that leads outside', async () => {
    const disk = { path: 'to-mine/new.img', url: 'http://192.0.2.1/x.img' };
    expect(errorsOf(await draft({ disk }))).toMatchObject([{ message: expect.stringContaining('A download is not kept at') as string }]);
    expect(errorsOf(await draft({ disk }, ['mine']))).toEqual([]);
  });
});

it.each([
  ['a file beside it', { path: 'plain.img' }],
  ['a link beside it', { path: 'to-plain' }],
  ['its own path, written in full', { path: '$LAGO_INITFILE_PATH/deep/../plain.img' }],
  ['an image that lies on another beside it', { ...qcow2, path: 'over-plain.qcow2' }],
  ['an image that stands alone', { ...qcow2, path: 'alone.qcow2', make_a_copy: true }],
])('files that came with the init file need no permission: %s', async (_what, disk) => {
  const made = await draft({ disk });
  expect(errorsOf(made)).toEqual([]);
  expect(made.outside).toEqual([]);
});

describe('everything that init would refuse is reported before', () => {
  const layer = { type: 'template', template_type: 'qcow2', format: 'qcow2' };
  const userData = (data: unknown): Change => ({ vm: { 'cloud-init': { 'user-data': data } } });
  const data = 'domains.vm.cloud-init.user-data';
  it.each<readonly [string, Change, path: string, message: RegExp]>([
    ['a missing file', { disk: { path: 'none.img' } }, DISK, /none\.img does not exist/],
    ['a link loop', { disk: { path: 'loop' } }, DISK, /symbolic links form a loop/],
    ['a layer over a link loop', { disk: { ...layer, path: 'loop' } }, DISK, /symbolic links form a loop/],
    ['a name that is too long', { disk: { path: 'x'.repeat(300) } }, DISK, /name is too long/],
    ['a folder', { disk: { path: '../..' } }, DISK, /is a folder/],
    ['a layer over a folder', { disk: { ...layer, path: '..' } }, DISK, /is a folder/],
    ['a pipe', { disk: { path: 'pipe' } }, DISK, /is a device or pipe/],
    ['a device', { disk: { path: '/dev/null' } }, DISK, /is a device or pipe/],
    ['a missing backing file', { disk: { ...qcow2, path: 'over-none.qcow2' } }, DISK, /Backing file .*none\.img does not exist/],
    ['a backing file over the network', { disk: { ...qcow2, path: 'over-nbd.qcow2' } }, DISK, /which is not a file/],
    [
      'a missing template',
      { disk: { path: undefined, ...layer, template_type: undefined, template_name: 'absent' } },
      'domains.vm.disks[0].template_name',
      /no template "absent"/,
    ],
    [
      'a template that leads out',
      { disk: { path: undefined, ...layer, template_type: undefined, template_name: '../..' } },
      'domains.vm.disks[0].template_name',
      /no template/,
    ],
    [
      'a script that is a folder',
      { vm: { metadata: { 'deploy-scripts': ['../..'] } } },
      'domains.vm.metadata.deploy-scripts[0]',
      /is not a file/,
    ],
    ['a missing OVA', { vm: { type: 'ova', url: 'no.ova' } }, 'domains.vm.url', /no\.ova does not exist/],
    ['an OVA that is a folder', { vm: { type: 'ova', url: 'deep' } }, 'domains.vm.url', /is a folder/],
    ['missing user-data', userData({ path: 'no.cfg' }), `${data}.path`, /no\.cfg does not exist/],
    ['user-data that is a folder', userData({ path: '../..' }), `${data}.path`, /is a folder/],
    ['user-data that is a pipe', userData({ path: 'pipe' }), `${data}.path`, /is a device or pipe/],
    ['broken user-data in a file', userData({ path: 'broken.cfg' }), data, /line \d+, column \d+/],
    ['user-data in a file that is a list', userData({ path: 'list.cfg' }), data, /not a cloud-config mapping/],
    ['user-data that multiplies', userData({ path: 'bomb.cfg' }), data, /cannot be used/],
    ['broken user-data in the init file', userData('packages: [vim'), data, /line 1/],
    ['user-data that is one word', userData('word'), data, /not a cloud-config mapping/],
    [
      'a missing file of a builder',
      { disk: { build: [{ 'virt-customize': { upload: 'none:/x' } }] } },
      'domains.vm.disks[0].build[0].virt-customize',
      /none does not exist/,
    ],
    [
      'too many networks',
      { nets: Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`n${index}`, {}])) },
      'nets.n55',
      /No network is free/,
    ],
  ])('%s', async (_what, change, path, message) => {
    const made = await draft(change);
    const found = errorsOf(made).find((issue) => issue.path === path && message.test(issue.message));
    expect(found, JSON.stringify(errorsOf(made).slice(0, 5))).toBeDefined();
    expect(found?.line).toBeGreaterThan(0);
    expect(found?.column).toBeGreaterThan(0);
    expect(found?.hint ?? '').not.toBe('');
  });

  it('valid user-data is no problem', async () => {
    for (const good of [{ path: 'good.cfg' }, { packages: ['vim'] }, 'packages: [vim]', ''])
      expect(errorsOf(await draft(userData(good)))).toEqual([]);
  });
});
