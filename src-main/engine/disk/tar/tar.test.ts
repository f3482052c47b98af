import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { type Member, paxOf, tarMember, tarOf } from './tar.test-support.ts';
import { readTar } from './tar.ts';

async function* pieces(data: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function read(data: Buffer, size = 1000): Promise<readonly (readonly [string, string])[]> {
  const found: [string, string][] = [];
  for await (const entry of readTar(pieces(data, size), 'The OVA x')) {
    const chunks: Buffer[] = [];
    for await (const chunk of entry.content) chunks.push(chunk);
    found.push([entry.type === 'folder' ? `${entry.name}/` : entry.name, Buffer.concat(chunks).toString()]);
  }
  return found;
}

describe('archives', () => {
  test.each([1, 511, 512, 513, 100_000])('are read completely in chunks of %d bytes', async (size) => {
    const archive = tarOf(
      { name: './', type: '5' },
      { name: './a/', type: '5' },
      { name: './a/b', content: 'x'.repeat(1500) },
      { name: 'empty' },
    );
    expect(await read(archive, size)).toEqual([
      ['a/', ''],
      ['a/b', 'x'.repeat(1500)],
      ['empty', ''],
    ]);
  });

  test.each(['gnu', 'ustar', 'pax', 'v7'])('of GNU tar in the format %s', async (format) => {
    const folder = mkdtempSync(join(tmpdir(), 'lago-tar-'));
    try {
      const long = `${'long-'.repeat(format === 'v7' ? 5 : 18)}name`;
      writeFileSync(join(folder, long), 'content');
      execFileSync('mkdir', ['-p', join(folder, 'sub/folder')]);
      writeFileSync(join(folder, 'sub/folder/file'), 'inner');
      const archive = execFileSync('tar', [`--format=${format}`, '-C', folder, '-cf', '-', long, 'sub']);
      expect((await read(archive)).filter(([name]) => !name.endsWith('/'))).toEqual([
        [long, 'content'],
        ['sub/folder/file', 'inner'],
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test('unread content is skipped', async () => {
    const names: string[] = [];
    for await (const entry of readTar(pieces(tarOf({ name: 'a', content: 'x'.repeat(5000) }, { name: 'b' }), 700), 'x'))
      names.push(entry.name);
    expect(names).toEqual(['a', 'b']);
  });

  test('pax and prefix give long names, pax gives sizes', async () => {
    const long = `${'d/'.repeat(120)}file`;
    expect(await read(tarOf(paxOf({ path: long, size: '3' }), { name: 'short', content: 'abc', size: 0 }))).toEqual([[long, 'abc']]);
    expect(await read(tarOf({ prefix: 'p/q', name: 'n', content: 'abc' }))).toEqual([['p/q/n', 'abc']]);
  });
});

const hostile: readonly (readonly [string, readonly Member[], string])[] = [
  ['an absolute path', [{ name: '/etc/passwd' }], 'has an absolute path'],
  ['an absolute path in pax', [paxOf({ path: '/etc/passwd' }), { name: 'x' }], 'has an absolute path'],
  ['a way out', [{ name: 'a/../../b' }], 'leads out of it'],
  ['a way out in a long name', [{ name: 'x', type: 'L', content: '../b\0' }, { name: 'x' }], 'leads out of it'],
  ['a way out by prefix', [{ prefix: '..', name: 'b' }], 'leads out of it'],
  ['a symbolic link', [{ name: 'a', type: '2' }], 'is a symbolic link'],
  ['a hard link', [{ name: 'a', type: '1' }], 'is a hard link'],
  ['a character device', [{ name: 'a', type: '3' }], 'is a character device'],
  ['a block device', [{ name: 'a', type: '4' }], 'is a block device'],
  ['a named pipe', [{ name: 'a', type: '6' }], 'is a named pipe'],
  ['a sparse member', [{ name: 'a', type: 'S' }], 'is a sparse file'],
  ['a sparse member of pax', [paxOf({ 'GNU.sparse.major': '1' }), { name: 'a' }], 'has a sparse member'],
  ['an unknown kind', [{ name: 'a', type: 'Q' }], 'of the unknown kind "Q"'],
  ['a huge member', [{ name: 'a', size: 2 ** 62, binarySize: true }], 'claims to have'],
  ['a huge member in pax', [paxOf({ size: '99999999999999999999' }), { name: 'a' }], 'claims to have'],
  ['a long name without an end', [{ name: 'a', type: 'L', size: 2 ** 30 }], 'impossibly long name'],
  ['a control character', [{ name: 'a\nb' }], 'a name that no file should have'],
  ['a backslash', [{ name: 'a\\b' }], 'a name that no file should have'],
  ['a part that is too long', [paxOf({ path: 'x'.repeat(300) }), { name: 'a' }], 'a name that no file should have'],
  ['a wrong checksum', [{ name: 'a', checksum: 1 }], 'no tar archive, or damaged'],
];

describe('refused with a sentence', () => {
  test.each(hostile)('%s', async (_, members, why) => {
    await expect(read(tarOf(...members))).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringMatching(/^The OVA x cannot be unpacked: .*\.$/),
    });
    await expect(read(tarOf(...members))).rejects.toThrow(why);
  });

  test('a truncated archive', async () => {
    const archive = tarOf({ name: 'a', content: 'x'.repeat(5000) });
    for (const length of [300, 512, 3000, 5511]) await expect(read(archive.subarray(0, length))).rejects.toThrow('it ends in the middle');
  });

  test('nothing, noise, and a broken pax record', async () => {
    await expect(read(Buffer.alloc(0))).rejects.toThrow('it is empty');
    await expect(read(Buffer.from('x'.repeat(2000)))).rejects.toThrow('no tar archive');
    await expect(read(tarOf({ name: 'x', type: 'x', content: '99999 path=y\n' }, { name: 'a' }))).rejects.toThrow('it is damaged');
  });

  test('too many members', async () => {
    const one = tarMember({ name: 'a' });
    await expect(read(Buffer.concat(Array.from({ length: 10_001 }, () => one)), 1 << 20)).rejects.toThrow('more than 10000 members');
  });

  test('endless zeros after the end', async () => {
    async function* endless(): AsyncGenerator<Buffer> {
      yield tarOf({ name: 'a' });
      for (const zeros = Buffer.alloc(1 << 20); ; ) yield zeros;
    }
    const all = async (): Promise<void> => {
      for await (const entry of readTar(endless(), 'x')) expect(entry.name).toBe('a');
    };
    await expect(all()).rejects.toThrow('it has data after its end');
  });
});
