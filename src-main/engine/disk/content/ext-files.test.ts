import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { entriesOf } from './debugfs.ts';
import { ExtFiles } from './ext-files.ts';
import { extPartitions } from './partitions.ts';

const SBIN = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
const OFFSET = 1024 * 1024;
let dir: string;
let raw: string;
let device: string;

/** A disk with an MBR whose second partition, at 1 MiB, is ext4. */
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-ext-'));
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'var/log/deep'), { recursive: true });
  writeFileSync(join(tree, 'var/log/deep/a b'), 'content', { mode: 0o640 });
  writeFileSync(join(tree, 'var/log/line\nbreak'), '');
  symlinkSync('log/deep', join(tree, 'var/short'));
  symlinkSync(`/${'./'.repeat(60)}var/log`, join(tree, 'var/long'));
  symlinkSync('loop', join(tree, 'loop'));
  raw = join(dir, 'raw');
  writeFileSync(raw, '');
  truncateSync(raw, 20 * 1024 * 1024);
  const make = ['-q', '-F', '-t', 'ext4', '-L', 'myroot', '-E', `offset=${OFFSET}`, '-d', tree, raw, '18m'];
  execFileSync('mke2fs', make, { env: SBIN });
  const mbr = Buffer.alloc(66);
  mbr.writeUInt8(0x83, 16 + 4);
  mbr.writeUInt32LE(OFFSET / 512, 16 + 8);
  mbr.writeUInt16LE(0xaa55, 64);
  execFileSync('dd', [`of=${raw}`, 'bs=1', 'seek=446', 'conv=notrunc', 'status=none'], { input: mbr });
  device = join(dir, 'device');
  writeFileSync(device, readFileSync(raw).subarray(OFFSET));
  mkdirSync(join(dir, 'scratch'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const files = (): ExtFiles => new ExtFiles(device, join(dir, 'scratch'), new AbortController().signal);

async function members(list: ReturnType<ExtFiles['tree']>): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { name, type, target, mode, content } of list) {
    const chunks: Buffer[] = [];
    for await (const chunk of content) chunks.push(chunk);
    found[name] = [type, type === '2' ? target : (mode & 0o777).toString(8), Buffer.concat(chunks).toString()].join(' ').trim();
  }
  return found;
}

test('partitions with a file system of the ext family are found', async () => {
  const disk = await open(raw, 'r');
  expect(await extPartitions(disk)).toEqual([
    {
      number: 2,
      offset: OFFSET,
      label: 'myroot',
      uuid: expect.stringMatching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/) as string,
      needsRecovery: false,
    },
  ]);
  await disk.close();
});

test('trees are read with modes, links and odd names', async () => {
  const log = await files().find('/var/log');
  expect(log).toMatchObject({ kind: 'folder' });
  expect(await members(files().tree(log?.inode ?? 0))).toEqual({
    deep: '5 755',
    'deep/a b': '0 640 content',
    'line\nbreak': '0 644',
  });
  const root = await members(files().tree(2));
  expect(root['var/short']).toBe('2 log/deep');
  expect(root['var/long']).toBe(`2 /${'./'.repeat(60)}var/log`);
});

test.each([
  ['/var/log/deep/a b', 'file'],
  ['/var/short/a b', 'file'],
  ['/var/long/deep/../deep', 'folder'],
  ['/../../var', 'folder'],
  ['/', 'folder'],
  ['/no/such', undefined],
  ['/var/log/deep/a b/c', undefined],
  ['/loop', undefined],
])('%s is %s', async (path, kind) => {
  expect((await files().find(path))?.kind).toBe(kind);
});

test('a journal is replayed', async () => {
  execFileSync('debugfs', ['-w', '-R', 'feature +needs_recovery', device], { env: SBIN, stdio: 'ignore' });
  await files().replayJournal();
  const features = execFileSync('dumpe2fs', ['-h', device], { env: SBIN, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  expect(features).toMatch(/features: .*has_journal/);
  expect(features).not.toContain('needs_recovery');
});

test('names that lead elsewhere are no entries', () => {
  const output = '/2/040755/0/0/.//\n/2/040755/0/0/..//\n/11/100644/0/0/../../etc/x/5/\n/12/100644/0/0/ok\nyes/7/\n/0/100644/0/0/gone/7/\n';
  expect(entriesOf(output)).toEqual([{ inode: 12, mode: 0o100644, uid: 0, gid: 0, name: 'ok\nyes', size: 7 }]);
});
