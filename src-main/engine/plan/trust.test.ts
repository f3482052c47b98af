import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTrust, type TrustRequest } from './trust.ts';

let root: string;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), 'lago-trust-')));
  for (const folder of ['home/.ssh', 'home/files/deep', 'home/work/.git', 'home/work/suite', 'home/work/common', 'store', 'other']) {
    await mkdir(join(root, folder), { recursive: true });
  }
  await symlink(join(root, 'home/files'), join(root, 'link'));
});
afterAll(async () => await rm(root, { recursive: true, force: true }));

async function judge(
  initFile: string,
  path: string,
  access: 'read' | 'write' = 'read',
  allowPaths: readonly string[] = [],
): Promise<string> {
  const at = (name: string): string => join(root, name);
  const request: TrustRequest = { initFile: at(initFile), templateStore: at('store'), allowPaths, cwd: at('other'), home: at('home') };
  return (await openTrust(request)).judge(at(path), access);
}

test.each([
  ['home/files/init.yaml', 'home/files/disk.qcow2', 'own'],
  ['home/files/init.yaml', 'home/files/deep/.hidden', 'own'],
  ['home/files/init.yaml', 'home/files', 'outside'],
  ['home/files/init.yaml', 'home/files2/disk', 'outside'],
  ['home/files/init.yaml', 'home/.ssh/id_rsa', 'outside'],
  ['home/files/init.yaml', 'home/disk.qcow2', 'outside'],
  ['home/files/init.yaml', 'store/repo:t:1', 'own'],
  ['home/init.yaml', 'home/disk.qcow2', 'own'],
  ['home/init.yaml', 'home/files/disk.qcow2', 'own'],
  ['home/init.yaml', 'home/.bashrc', 'outside'],
  ['home/init.yaml', 'home/files/.secret/key', 'outside'],
  ['init.yaml', 'home/disk.qcow2', 'outside'],
  ['init.yaml', 'disk.qcow2', 'own'],
  ['home/work/suite/init.yaml', 'home/work/common/script.sh', 'own'],
  ['home/work/suite/init.yaml', 'home/files/script.sh', 'outside'],
  ['link/init.yaml', 'home/files/disk.qcow2', 'own'],
  ['link/init.yaml', 'link/disk.qcow2', 'own'],
])('of %s, %s is %s', async (initFile, path, expected) => {
  await writeFile(join(root, initFile), '');
  expect(
    await judge(
      initFile,
      await realpath(join(root, path)).then(
        (real) => real.slice(root.length + 1),
        () => path.replace('link', 'home/files'),
      ),
    ),
  ).toBe(expected);
});

test('a template is not written to', async () => {
  expect(await judge('home/files/init.yaml', 'store/repo:t:1', 'write')).toBe('outside');
  expect(await judge('home/files/init.yaml', 'home/files/disk', 'write')).toBe('own');
});

test('hidden files are not writable, and in a checkout only files below the init file are', async () => {
  const suite = 'home/work/suite/init.yaml';
  expect(await judge('home/work/init.yaml', 'home/work/.git/config', 'write')).toBe('outside');
  expect(await judge(suite, 'home/work/.git/config')).toBe('outside');
  expect(await judge(suite, 'home/work/.git/hooks/pre-commit', 'write')).toBe('outside');
  expect(await judge(suite, 'home/work/common/disk.qcow2', 'write')).toBe('outside');
  expect(await judge(suite, 'home/work/suite/disk.qcow2', 'write')).toBe('own');
});

test.each([
  [['/dev/null'], 'outside'],
  [['disk.qcow2'], 'allowed'],
  [['.'], 'allowed'],
  [['../other/'], 'allowed'],
  [['../oth'], 'outside'],
])('permission for %j makes other/disk.qcow2 %s', async (allowPaths, expected) => {
  expect(await judge('home/files/init.yaml', 'other/disk.qcow2', 'write', allowPaths)).toBe(expected);
});

test('a permission follows links', async () => {
  expect(await judge('init.yaml', 'home/files/disk', 'write', ['../link'])).toBe('allowed');
});

test('a folder of another user is not a checkout', async () => {
  const request = {
    initFile: '/proc/1/init.yaml',
    templateStore: join(root, 'store'),
    allowPaths: [],
    cwd: root,
    home: join(root, 'home'),
  };
  expect((await openTrust(request)).judge('/proc/version', 'read')).toBe('outside');
});
