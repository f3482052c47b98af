import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { peekPacked, unpackImage } from './unpack.ts';

let folder: string;
let image: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-unpack-'));
  image = join(folder, 'disk.qcow2');
});
afterEach(async () => await rm(folder, { recursive: true }));

async function pack(content: Buffer): Promise<void> {
  await writeFile(image, content);
  await writeFile(`${image}.hash`, createHash('sha1').update(content).digest('hex'));
  execFileSync('xz', ['-0', image]);
}

function qcow2(...more: readonly string[]): Buffer {
  const path = join(folder, 'made');
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', ...more, path, '3M']);
  return execFileSync('sh', ['-c', 'cat "$0"; rm "$0"', path]);
}

const unpack = async (to: string, format = 'qcow2', free = 2 ** 40): Promise<void> =>
  await unpackImage(
    { packed: `${image}.xz`, hashFile: `${image}.hash`, to, format },
    { freeBytes: async () => await Promise.resolve(free) },
  );

describe('peekPacked', () => {
  it('reads size and backing name of a qcow2', async () => {
    await pack(qcow2('-u', '-b', './el9:v1', '-F', 'qcow2'));
    expect(await peekPacked(`${image}.xz`)).toEqual({ format: 'qcow2', virtualSize: 3 * 1024 * 1024, backing: './el9:v1' });
  });

  it('takes anything else for raw, and reads no more than the head', async () => {
    await pack(Buffer.alloc(20 * 1024 * 1024, 'x'));
    expect(await peekPacked(`${image}.xz`)).toEqual({ format: 'raw', virtualSize: undefined, backing: undefined });
  });

  it('survives an image that ends in its header', async () => {
    await pack(Buffer.from('QFI\xfb', 'latin1'));
    expect((await peekPacked(`${image}.xz`)).format).toBe('raw');
  });
});

describe('unpackImage', () => {
  it('unpacks sparse and compares the checksum', async () => {
    const content = Buffer.concat([qcow2(), Buffer.alloc(4 * 1024 * 1024)]);
    await pack(content);
    const to = join(folder, 'out.qcow2');
    await unpack(to);
    expect((await readFile(to)).equals(content)).toBe(true);
    expect((await stat(to)).blocks * 512).toBeLessThan(2 * 1024 * 1024);
  });

  it.each([
    ['a wrong checksum', async () => await writeFile(`${image}.hash`, '0'.repeat(40)), 'qcow2', 2 ** 40, 'remote.hash-mismatch'],
    [
      'a damaged file',
      async () => await writeFile(`${image}.xz`, (await readFile(`${image}.xz`)).subarray(0, -20)),
      'qcow2',
      2 ** 40,
      'remote.invalid',
    ],
    ['another format', async () => await Promise.resolve(), 'iso', 2 ** 40, 'input.invalid'],
    ['too little space', async () => await Promise.resolve(), 'qcow2', 1024, 'host.no-space'],
  ])('leaves nothing for %s', async (_case, spoil, format, free, code) => {
    await pack(qcow2());
    await spoil();
    await expect(unpack(join(folder, 'out'), format, free)).rejects.toMatchObject({ code });
    expect((await readdir(folder)).sort()).toEqual(['disk.qcow2.hash', 'disk.qcow2.xz']);
  });
});
