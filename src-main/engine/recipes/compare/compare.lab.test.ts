import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TextDiff } from '../../../../src-shared/collection.ts';
import type { Changes } from '../../../../src-shared/snapshot/changes.ts';
import { silentLog } from '../../core/log.ts';
import { startOperation } from '../../core/operation.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { readPrefix, writeSpecs } from '../../prefix/prefix.ts';
import { writeRecord } from '../../prefix/record.ts';
import { createWorld, writePrefix } from '../world.test-support.ts';
import { comparePoints, diffChangedFile, lastChanges } from './compare.ts';

// Real layers with real file systems, and no VM.

const SBIN = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
const ODD = 'line\nbreak "and" more';
const world = createWorld();
let dir: string;
let root: string;

type Files = Readonly<Record<string, string>>;

/** A disk image with nothing but an ext4 file system. */
function image(name: string, files: Files, alter: (tree: string) => void = () => undefined, uuid = 'clear'): string {
  const tree = join(dir, `${name}.tree`);
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
    // Files that nobody touched are as old on both sides.
    utimesSync(join(tree, path), 1, 1);
  }
  alter(tree);
  const raw = join(dir, `${name}.raw`);
  writeFileSync(raw, '');
  truncateSync(raw, 24 * 1024 * 1024);
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-U', uuid, '-d', tree, raw], { env: SBIN });
  return raw;
}

const layer = (name: string): string => join(prefixPaths(root).images, `vm0_${name}.qcow2`);

/** The lowest file of a disk. */
function base(name: string, raw: string): void {
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', raw, layer(name)]);
}

/** A layer that shows this image. */
function shows(name: string, raw: string, below: string): void {
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', '-B', layer(below), '-F', 'qcow2', raw, layer(name)]);
}

const disk = (dev: string, name: string): object => ({ name, dev, format: 'qcow2', path: `$LAGO_PREFIX_PATH/images/vm0_${name}.qcow2` });

/** Records snapshots of vm0 by name with their disks, and its present disks. */
async function record(snapshots: Readonly<Record<string, readonly object[]>>, present: readonly object[], takenAt = 1000): Promise<void> {
  const { specs, record: old } = await readPrefix(root);
  const vms = specs.vms.map((vm) =>
    vm.name === 'vm0' ? { ...vm, metadata: {}, disks: present as never, snapshots: snapshots as never } : vm,
  );
  await writeSpecs(prefixPaths(root), { ...specs, vms });
  if (old === undefined) throw new Error('The environment has no record.');
  const names = Object.keys(snapshots);
  await writeRecord(prefixPaths(root).record, {
    ...old,
    snapshots: names.map((name, index) => ({
      name,
      kind: name === 'inside' ? 'internal' : 'layers',
      createdAt: takenAt + index,
      parent: null,
      vms: { vm0: 'disk' },
    })),
  });
}

async function compare(from: string, to: string | null, signal?: AbortSignal): Promise<Changes> {
  return await startOperation({ kind: 'compare', label: 'Compare', signal }, async (step) => {
    return await comparePoints(world.context, root, { vm: 'vm0', from, to }, step);
  }).done;
}

async function diff(from: string, to: string | null, path: string): Promise<TextDiff> {
  const step = { signal: new AbortController().signal, log: silentLog, progress: () => undefined };
  return await diffChangedFile(world.context, root, { vm: 'vm0', from, to, path }, step);
}

/** Changes as `+path` and `~path aspects`. */
function short({ files }: Changes): readonly string[] {
  const signs = { added: '+', removed: '-', changed: '~' };
  return files.map(({ path, change, aspects }) => [`${signs[change]}${path}`, ...aspects].join(' '));
}

const FSTAB = 'UUID=11111111-2222-3333-4444-555555555555 /srv/data ext4 defaults 0 0\n';
const OLD: Files = {
  'etc/fstab': FSTAB,
  'etc/hosts': 'one\ntwo\nthree\n',
  'etc/same-size': 'aaaa',
  'etc/rewritten': 'as before',
  'etc/mode': 'x',
  'etc/gone': 'x',
  'proc/1': 'x',
  [`etc/${ODD}`]: 'x',
  'var/lib/dpkg/status': 'Package: web\nStatus: install ok installed\nVersion: 1.0\n',
};
const { 'etc/gone': _, ...REST } = OLD;
const NEW: Files = {
  ...REST,
  'etc/hosts': 'one\n2\nthree\n',
  'etc/same-size': 'aaab',
  'etc/binary': 'a\0b',
  'proc/1': 'y and more',
  [`etc/${ODD}`]: 'x and more',
  'var/lib/dpkg/status':
    'Package: web\nStatus: install ok installed\nVersion: 2.0\n\nPackage: db\nStatus: install ok installed\nVersion: 3\n',
};

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-compare-'));
  root = join(dir, 'env');
  mkdirSync(root);
  await writePrefix(root);
  const DATA = '11111111-2222-3333-4444-555555555555';
  base(
    'root',
    image('old', OLD, (tree) => symlinkSync('hosts', join(tree, 'etc/link'))),
  );
  const changed = image('new', NEW, (tree) => {
    symlinkSync('same-size', join(tree, 'etc/link'));
    chmodSync(join(tree, 'etc/mode'), 0o600);
    for (const written of ['rewritten', 'same-size']) utimesSync(join(tree, 'etc', written), 2, 2);
  });
  shows('root.layer-1', changed, 'root');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', layer('root.layer-1'), layer('root.layer-2')]);
  base('data', image('data-old', { 'db/table': 'rows' }, undefined, DATA));
  shows('data.layer-1', image('data-new', { 'db/table': 'more rows' }, undefined, DATA), 'data');
  await record(
    {
      old: [disk('vda', 'root'), disk('vdb', 'data')],
      new: [disk('vda', 'root.layer-1'), disk('vdb', 'data.layer-1')],
      inside: [disk('vda', 'root')],
    },
    [disk('vda', 'root.layer-2'), disk('vdb', 'data.layer-1')],
  );
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const EXPECTED = [
  '+/etc/binary',
  '-/etc/gone',
  '~/etc/hosts content',
  `~/etc/${ODD} content`,
  '~/etc/link target',
  '~/etc/mode permissions',
  '~/etc/same-size content',
  '~/srv/data/db/table content',
  '~/var/lib/dpkg/status content',
];

test('files and packages that changed between two snapshots, on all disks; kept, and nothing else is left', async () => {
  const found = await compare('old', 'new');
  expect(short(found)).toEqual(EXPECTED);
  expect(found.files.find(({ path }) => path === '/etc/hosts')).toMatchObject({ sizeBefore: 14, sizeAfter: 12 });
  expect(found).toMatchObject({ counts: { added: 1, removed: 1, changed: 7 }, truncated: false, notes: [] });
  expect(found.packages).toEqual([
    { name: 'db', before: null, after: '3' },
    { name: 'web', before: '1.0', after: '2.0' },
  ]);
  expect(await compare('old', 'new')).toEqual(found);
  expect(await lastChanges(world.context, root, { vm: 'vm0', from: 'old', to: 'new' })).toEqual(found);
  expect(readdirSync(prefixPaths(root).snapshots)).toEqual(['old']);
  const back = await compare('new', 'old');
  expect(back.counts).toEqual({ added: 1, removed: 1, changed: 7 });
}, 120_000);

test('the text of a file that changed, was added or removed; no other file is read', async () => {
  await compare('old', 'new');
  const lines = (await diff('old', 'new', '/etc/hosts')).lines.map(({ kind, text }) => `${kind} ${text}`);
  expect(lines).toEqual(['same one', 'removed two', 'added 2', 'same three']);
  expect(await diff('old', 'new', '/etc/gone')).toMatchObject({ added: 0, removed: 1 });
  expect(await diff('old', 'new', `/etc/${ODD}`)).toMatchObject({ added: 1, removed: 1 });
  expect(await diff('old', 'new', '/etc/binary')).toMatchObject({ problem: 'binary', lines: [] });
  for (const path of ['/etc/rewritten', '/etc/shadow', '/etc/../etc/hosts']) {
    await expect(diff('old', 'new', path)).rejects.toMatchObject({ code: 'input.missing-file' });
  }
}, 120_000);

test('the present of a VM that is off: read again once its disk was written to', async () => {
  const none = await compare('new', null);
  expect([short(none), none.packages]).toEqual([[], []]);
  const all = await compare('old', null);
  expect(short(all)).toEqual(EXPECTED);
  expect((await compare('old', null)).readAt).toBe(all.readAt);
  rmSync(layer('root.layer-2'));
  shows('root.layer-2', join(dir, 'old.raw'), 'root.layer-1');
  expect(short(await compare('old', null))).toEqual(['~/srv/data/db/table content']);
}, 120_000);

test('layers that nobody wrote to are not looked into', async () => {
  base('blank', join(dir, 'old.raw'));
  truncateSync(layer('blank'), 512);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', layer('blank'), '1M']);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', layer('blank'), layer('blank.layer-1')]);
  await record({ blank: [disk('vda', 'blank')] }, [disk('vda', 'blank.layer-1')]);
  expect(short(await compare('blank', null))).toEqual([]);
}, 60_000);

test('what is of another snapshot of the same name is not taken for a result', async () => {
  await record({ old: [disk('vda', 'root')], new: [disk('vda', 'root.layer-1')] }, [disk('vda', 'root.layer-1')], 2000);
  expect(await lastChanges(world.context, root, { vm: 'vm0', from: 'old', to: 'new' })).toBeNull();
  const found = await compare('old', 'new');
  expect(short(found)).not.toContain('~/srv/data/db/table content');
}, 60_000);

test('one that was cancelled leaves nothing', async () => {
  await record({ old: [disk('vda', 'root')], new: [disk('vda', 'root.layer-1')] }, [disk('vda', 'root.layer-1')], 3000);
  rmSync(prefixPaths(root).snapshots, { recursive: true, force: true });
  const abort = new AbortController();
  const operation = startOperation({ kind: 'compare', label: 'Compare', signal: abort.signal }, async (step) => {
    return await comparePoints(world.context, root, { vm: 'vm0', from: 'old', to: 'new' }, step);
  });
  operation.onState(({ steps }) => {
    if (steps[0]?.detail === 'listing files') abort.abort();
  });
  await expect(operation.done).rejects.toMatchObject({ code: 'cancelled' });
  expect(readdirSync(prefixPaths(root).snapshots)).toEqual([]);
  expect(existsSync(layer('root'))).toBe(true);
}, 60_000);

test('a layer that is gone is named', async () => {
  await record({ old: [disk('vda', 'root')], lost: [disk('vda', 'lost')] }, []);
  await expect(compare('old', 'lost')).rejects.toMatchObject({
    code: 'snapshot.missing',
    message: expect.stringContaining(layer('lost')) as string,
  });
});

test.each([
  ['nothing', 'new', 'snapshot.missing'],
  ['old', 'nothing', 'snapshot.missing'],
  ['old', 'old', 'input.invalid'],
  ['inside', 'old', 'snapshot.unsupported'],
])('from %s to %s: %s', async (from, to, code) => {
  await record({ old: [disk('vda', 'root')], new: [disk('vda', 'root.layer-1')], inside: [disk('vda', 'root')] }, []);
  await expect(compare(from, to)).rejects.toMatchObject({ code });
});
