import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExtVolume, type VolumeEntry } from './ext-volume.ts';

const SBIN = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
let dir: string;
let device: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-volume-'));
  const tree = join(dir, 'tree');
  mkdirSync(join(tree, 'etc'), { recursive: true });
  mkdirSync(join(tree, 'proc/1'), { recursive: true });
  writeFileSync(join(tree, 'etc/hosts'), 'localhost');
  writeFileSync(join(tree, 'etc/read'), 'read');
  writeFileSync(join(tree, 'etc/line\nbreak "quoted"'), 'odd');
  chmodSync(join(tree, 'etc/hosts'), 0o640);
  symlinkSync('/etc/hosts', join(tree, 'link'));
  device = join(dir, 'device');
  writeFileSync(device, '');
  truncateSync(device, 16 * 1024 * 1024);
  execFileSync('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', tree, device], { env: SBIN });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let volumes = 0;
function volume(of = device): ExtVolume {
  const scratch = join(dir, `scratch-${volumes++}`);
  mkdirSync(scratch);
  return new ExtVolume(of, scratch, new AbortController().signal);
}

async function entries(of: ExtVolume): Promise<ReadonlyMap<string, VolumeEntry>> {
  return await of.entries(new Set(['/proc', '/lost+found']), 100);
}

test('all files with what they are, without what is in folders to leave out', async () => {
  const found = await entries(volume());
  expect([...found.keys()].sort()).toEqual([
    '/etc',
    '/etc/hosts',
    '/etc/line\nbreak "quoted"',
    '/etc/read',
    '/link',
    '/lost+found',
    '/proc',
  ]);
  expect(found.get('/etc/hosts')).toMatchObject({ type: 'file', mode: 0o640, size: 9, target: '' });
  expect(found.get('/link')).toMatchObject({ type: 'link', target: '/etc/hosts', size: 0 });
  expect(found.get('/etc')).toMatchObject({ type: 'folder' });
});

test('more files than may be are an error', async () => {
  await expect(volume().entries(new Set(), 3)).rejects.toMatchObject({ code: 'not-available' });
});

test('copies of files; what is none is left out', async () => {
  const one = volume();
  await entries(one);
  const into = join(dir, 'copies');
  mkdirSync(into);
  const copies = await one.copy(['/etc/hosts', '/etc', '/link', '/missing', '/etc/line\nbreak "quoted"'], into);
  expect([...copies].map(([path, copy]) => [path, readFileSync(copy, 'utf8')])).toEqual([
    ['/etc/hosts', 'localhost'],
    ['/etc/line\nbreak "quoted"', 'odd'],
  ]);
});

test('the stamp of a file that was written anew is another one, that of a file that was read stays', async () => {
  const changed = join(dir, 'changed');
  copyFileSync(device, changed);
  const source = join(dir, 'source');
  writeFileSync(source, 'LOCALHOST');
  const commands = ['rm /etc/hosts', `write ${source} /etc/hosts`, 'set_inode_field /etc/read atime 20300101'];
  for (const command of commands) execFileSync('debugfs', ['-w', '-R', command, changed], { env: SBIN, stdio: 'ignore' });
  const [before, after] = [await entries(volume()), await entries(volume(changed))];
  expect(before.get('/etc/read')?.stamp).not.toBe('');
  expect(after.get('/etc/read')?.stamp).toBe(before.get('/etc/read')?.stamp);
  expect(after.get('/etc/hosts')?.size).toBe(9);
  expect(after.get('/etc/hosts')?.stamp).not.toBe(before.get('/etc/hosts')?.stamp);
});

test('a folder in the root', async () => {
  expect([await volume().hasFolder('etc'), await volume().hasFolder('link'), await volume().hasFolder('nothing')]).toEqual([
    true,
    false,
    false,
  ]);
});
