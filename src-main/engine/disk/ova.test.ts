import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { runChecked } from '../core/run.ts';
import { unpackOva } from './ova.ts';
import { type Member, tarOf } from './tar/tar.test-support.ts';

let folder = '';
let count = 0;
const fresh = (): string => join(folder, `out-${(count += 1)}`);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago ova, '));
});
afterAll(() => rmSync(folder, { recursive: true }));

function write(name: string, content: Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Unpacks a local archive of these members. */
async function unpack(
  ...members: readonly Member[]
): Promise<{ readonly out: string; readonly ova: Awaited<ReturnType<typeof unpackOva>> }> {
  const out = fresh();
  return { out, ova: await unpackOva(pathToFileURL(write('x.ova', tarOf(...members))).href, out) };
}

describe('an OVA', () => {
  const members: readonly Member[] = [
    { name: 'images/a/b', content: Buffer.concat([Buffer.from('disk'), Buffer.alloc(4 << 20)]) },
    { name: 'master/vms/1/1.ovf', content: '<one/>' },
    { name: 'master/blank/2.ovf', content: '<two/>' },
  ];

  test.each(['plain', 'gzip', 'xz'] as const)('%s is unpacked, zeros become holes', async (how) => {
    let path = write(`${how}.ova`, tarOf(...members));
    if (how === 'gzip') path = write('gz.ova', gzipSync(readFileSync(path)));
    if (how === 'xz') {
      await runChecked(['xz', '-k', '-0', path], 'xz');
      path = `${path}.xz`;
    }
    const out = fresh();
    const ova = await unpackOva(pathToFileURL(path).href, out);
    expect(ova).toMatchObject({ description: '<one/>', descriptionName: 'master/vms/1/1.ovf' });
    expect([...ova.files]).toEqual([['images/a/b', join(out, 'images/a/b')]]);
    const disk = statSync(join(out, 'images/a/b'));
    expect(disk.size).toBe((4 << 20) + 4);
    expect(disk.blocks * 512).toBeLessThan(1 << 20);
    expect(readFileSync(join(out, 'images/a/b')).subarray(0, 4).toString()).toBe('disk');
  });

  test('is received over a connection that drops', async () => {
    await using server = await startMisbehavingServer();
    server.put('/x.ova', tarOf(...members), [{ dropAfter: 70_000 }, { dropAfter: 600_000 }]);
    const out = fresh();
    const { files } = await unpackOva(`${server.url}/x.ova`, out, { download: { backOffMs: 1 } });
    expect(files.size).toBe(1);
    await expect(unpackOva(`${server.url}/none.ova`, fresh())).rejects.toThrow('There is no OVA at');
  });

  test('with a manifest is verified', async () => {
    const manifest = (disk: string, ovf = '<x/>'): Member => ({
      name: 'x.mf',
      content: `SHA256(x.ovf)= ${sha256(ovf)}\nSHA256(disk.vmdk)= ${sha256(disk)}\n`,
    });
    const ovf: Member = { name: 'x.ovf', content: '<x/>' };
    const disk: Member = { name: 'disk.vmdk', content: 'data' };
    expect((await unpack(ovf, manifest('data'), { name: 'x.cert', content: 'c' }, disk)).ova.files.size).toBe(1);
    await expect(unpack(ovf, manifest('other'), disk)).rejects.toMatchObject({
      code: 'remote.hash-mismatch',
      message: expect.stringContaining('disk.vmdk'),
    });
    await expect(unpack(ovf, manifest('data', '<y/>'), disk)).rejects.toMatchObject({ code: 'remote.hash-mismatch' });
  });
});

describe('refused, and nothing is left', () => {
  const ovf: Member = { name: 'x.ovf', content: '<x/>' };
  test.each<[string, readonly Member[], string]>([
    ['a link to the outside and a file through it', [ovf, { name: 'd', type: '2' }, { name: 'd/x', content: 'x' }], 'is a symbolic link'],
    ['a member that leads out', [ovf, { name: '../x', content: 'x' }], 'leads out of it'],
    ['two members of one name', [ovf, { name: 'd', content: '1' }, { name: './d', content: '2' }], 'two members named "d"'],
    ['a file that is a folder', [ovf, { name: 'd', content: '1' }, { name: 'd/e', content: '2' }], 'is a file and a folder'],
    ['a folder that is a file', [ovf, { name: 'd/e', content: '2' }, { name: 'd', content: '1' }], 'is a file and a folder'],
    ['no description', [{ name: 'd', content: '1' }], 'it has no OVF file'],
    ['two VMs', [ovf, { name: 'y.ovf', content: '<y/>' }], 'We support only one vm in ova'],
    [
      'two VMs of oVirt',
      ['1', '2'].map((vm) => ({ name: `master/vms/${vm}/${vm}.ovf`, content: '<x/>' })),
      'We support only one vm in ova',
    ],
    ['a description without an end', [{ name: 'x.ovf', content: Buffer.alloc(5 << 20) }], 'has 5242880 bytes'],
  ])('%s', async (_, members, why) => {
    const before = readdirSync(folder);
    await expect(unpack(...members)).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringContaining(why) });
    expect(readdirSync(folder).filter((name) => name !== 'x.ova')).toEqual(before.filter((name) => name !== 'x.ova'));
  });

  test('an archive that does not fit', async () => {
    const url = pathToFileURL(write('x.ova', tarOf(ovf))).href;
    const out = fresh();
    await expect(unpackOva(url, out, { freeBytes: async () => 1000 })).rejects.toMatchObject({ code: 'host.no-space' });
    expect(existsSync(out)).toBe(false);
  });

  test('one that is cancelled during the download', async () => {
    const abort = new AbortController();
    const url = pathToFileURL(write('x.ova', tarOf(ovf, { name: 'd', content: Buffer.alloc(8 << 20, 1) }))).href;
    const out = fresh();
    await expect(unpackOva(url, out, { signal: abort.signal, progress: () => abort.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    expect(existsSync(out)).toBe(false);
  });
});
