import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readBackingNames } from './qcow2-header.ts';

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-qcow2-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function create(name: string, ...args: readonly string[]): string {
  const path = join(folder, name);
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...args, path]);
  return path;
}

describe('what a qcow2 file is a layer on', () => {
  test('is nothing', async () => {
    create('alone.qcow2', '-o', 'size=1M');
    await expect(readBackingNames(join(folder, 'alone.qcow2'))).resolves.toBeUndefined();
  });

  test.each([['compat=1.1'], ['compat=0.10'], ['compat=1.1,cluster_size=512'], ['compat=1.1,compression_type=zlib,lazy_refcounts=on']])(
    'is read from a file of %s',
    async (options) => {
      const base = create('base ä.qcow2', '-o', 'size=1M');
      const path = create(`${options.replaceAll(/\W/g, '-')}.qcow2`, '-o', options, '-F', 'qcow2', '-b', 'base ä.qcow2');
      await expect(readBackingNames(path)).resolves.toEqual({ file: 'base ä.qcow2', format: 'qcow2' });
      expect(base).toContain('ä');
    },
  );

  test('is a raw file, by an absolute name', async () => {
    writeFileSync(join(folder, 'disk.raw'), Buffer.alloc(1024 * 1024));
    const path = create('on-raw.qcow2', '-F', 'raw', '-b', join(folder, 'disk.raw'));
    await expect(readBackingNames(path)).resolves.toEqual({ file: join(folder, 'disk.raw'), format: 'raw' });
  });
});

describe('a file that is no qcow2 image is refused', () => {
  test.each([
    ['short', Buffer.from('QFI')],
    ['other', Buffer.alloc(4096, 'x')],
    ['damaged', Buffer.concat([Buffer.from('QFI\xfb\0\0\0\x03', 'latin1'), Buffer.from('00000000ffffffff', 'hex'), Buffer.alloc(100, 1)])],
  ])('%s', async (name, content) => {
    writeFileSync(join(folder, name), content);
    await expect(readBackingNames(join(folder, name))).rejects.toMatchObject({ code: 'input.invalid' });
  });

  test('nor one that is not there', async () => {
    await expect(readBackingNames(join(folder, 'nothing'))).rejects.toMatchObject({ code: 'input.missing-file' });
  });
});
