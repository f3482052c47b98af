import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { runChecked } from '../core/run.ts';
import { checkForeignImage, imageKind } from './foreign-image.ts';
import { createEmptyDisk, createOverlay } from './qemu-img.ts';
import { receiveImage } from './receive-image.ts';

const MIB = 1024 * 1024;
let folder = '';
let sources = '';
let server: MisbehavingServer;
const at = (name: string): string => join(folder, name);
const source = (name: string): string => join(sources, name);

beforeAll(async () => {
  sources = mkdtempSync(join(tmpdir(), 'lago sources '));
  writeFileSync(source('data.raw'), Buffer.concat([Buffer.from('data'), Buffer.alloc(3 * MIB - 4)]));
  for (const format of ['qcow2', 'vmdk', 'vdi', 'vhdx', 'vpc', 'qed']) {
    await runChecked(['qemu-img', 'convert', '-f', 'raw', '-O', format, source('data.raw'), source(`data.${format}`)], format);
  }
  for (const [name, options] of [
    ['stream', 'subformat=streamOptimized'],
    ['pieces', 'subformat=twoGbMaxExtentSparse'],
    ['flat', 'subformat=monolithicFlat'],
  ] as const) {
    await runChecked(['qemu-img', 'convert', '-f', 'raw', '-O', 'vmdk', '-o', options, source('data.raw'), source(`${name}.vmdk`)], name);
  }
  await createOverlay({ path: source('layer.qcow2'), backing: source('data.raw'), backingFormat: 'raw' });
  await runChecked(
    ['qemu-img', 'create', '-q', '-f', 'qcow2', '-o', `data_file=${source('outside.raw')}`, source('outside.qcow2'), '1M'],
    'data file',
  );
  await runChecked(['qemu-img', 'create', '-q', '-f', 'vmdk', '-b', source('data.vmdk'), '-F', 'vmdk', source('layer.vmdk')], 'vmdk layer');
  const iso = Buffer.alloc(MIB);
  iso.write('\u0001CD001\u0001', 0x8000, 'latin1');
  writeFileSync(source('disc.iso'), iso);
});
afterAll(() => rmSync(sources, { recursive: true }));
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago receive, '));
  server = await startMisbehavingServer();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

describe('an image from elsewhere', () => {
  test.each([
    ['data.raw', 'raw'],
    ['data.qcow2', 'qcow2'],
    ['data.vmdk', 'vmdk'],
    ['stream.vmdk', 'vmdk'],
    ['flat.vmdk', 'vmdk'],
    ['data.vdi', 'vdi'],
    ['data.vhdx', 'vhdx'],
    ['data.vpc', 'vpc'],
    ['data.qed', 'qed'],
    ['disc.iso', 'iso'],
  ])('%s is recognised as %s', async (name, kind) => expect(await imageKind(source(name))).toBe(kind));

  test.each([
    ['data.raw', 'raw'],
    ['disc.iso', 'iso'],
    ['disc.iso', 'raw'],
    ['data.qcow2', 'qcow2'],
    ['stream.vmdk', 'vmdk'],
    ['data.vmdk', 'vmdk'],
    ['data.vdi', 'vdi'],
  ])('%s is accepted as %s', async (name, format) => {
    expect((await checkForeignImage(source(name), format, 'The download x')).virtualSize).toBeGreaterThan(0);
  });

  test.each([
    ['data.qcow2', 'raw', 'input.invalid', 'is a qcow2 image, but raw was requested'],
    ['data.vmdk', 'qcow2', 'input.invalid', 'is a vmdk image, but qcow2 was requested'],
    ['data.raw', 'qcow2', 'remote.invalid', 'is not a qcow2 image'],
    ['data.raw', 'iso', 'remote.invalid', 'is not an ISO image'],
    ['layer.qcow2', 'qcow2', 'remote.invalid', 'it needs another file, "/'],
    ['outside.qcow2', 'qcow2', 'remote.invalid', 'an external data file'],
    ['layer.vmdk', 'vmdk', 'remote.invalid', 'it needs another file'],
    ['pieces.vmdk', 'vmdk', 'remote.invalid', 'consists of several files'],
    ['flat.vmdk', 'vmdk', 'remote.invalid', 'consists of several files'],
  ])('%s is refused as %s', async (name, format, code, why) => {
    await expect(checkForeignImage(source(name), format, 'The download x')).rejects.toMatchObject({
      code,
      message: expect.stringContaining(why),
    });
  });

  test('cut off in its header', async () => {
    writeFileSync(at('cut.qcow2'), readFileSync(source('data.qcow2')).subarray(0, 40));
    await expect(checkForeignImage(at('cut.qcow2'), 'qcow2', 'The download x')).rejects.toMatchObject({ code: 'remote.invalid' });
    writeFileSync(at('noise.qcow2'), Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), Buffer.alloc(4, 0), Buffer.alloc(200)]));
    await expect(checkForeignImage(at('noise.qcow2'), 'qcow2', 'The download x')).rejects.toMatchObject({ code: 'remote.invalid' });
  });
});

describe('a download', () => {
  test.each(['', '.xz', '.gz', '.zst'])('of an image%s over a connection that drops is whole and sparse', async (suffix) => {
    const program = { '': [], '.xz': ['xz', '-0'], '.gz': ['gzip'], '.zst': ['zstd', '-q'] }[suffix] ?? [];
    let content = readFileSync(source('data.raw'));
    if (program.length > 0) {
      writeFileSync(at('in'), content);
      await runChecked([...program, '-k', at('in')], suffix);
      content = readFileSync(at(`in${suffix}`));
    }
    server.put(`/d/data.raw${suffix}?token=1`, content, [{ dropAfter: Math.floor(content.length / 3) }, { dropAfter: 10 }]);
    const details: string[] = [];
    const request = { url: `${server.url}/d/data.raw${suffix}?token=1`, to: at('out.raw'), format: 'raw' };
    expect(await receiveImage(request, { download: { backOffMs: 1 }, progress: (_, detail) => details.push(detail ?? '') })).toEqual({
      virtualSize: 3 * MIB,
    });
    expect(readFileSync(at('out.raw')).equals(readFileSync(source('data.raw')))).toBe(true);
    expect(statSync(at('out.raw')).blocks * 512).toBeLessThan(MIB);
    expect(details.at(-1)).toBe('done');
  });

  test('is kept as it is without a compression suffix in its name', async () => {
    await runChecked(['gzip', '-k', source('disc.iso')], 'gzip');
    server.put('/x.raw', readFileSync(source('disc.iso.gz')));
    await receiveImage({ url: `${server.url}/x.raw`, to: at('x.raw'), format: 'raw' });
    expect(readFileSync(at('x.raw')).equals(readFileSync(source('disc.iso.gz')))).toBe(true);
  });

  test('of a local file', async () => {
    await receiveImage({ url: pathToFileURL(source('data.qcow2')).href, to: at('x.qcow2'), format: 'qcow2' });
    expect(existsSync(at('x.qcow2'))).toBe(true);
  });

  test('that is refused leaves nothing', async () => {
    server.put('/page', '<html>Sign in</html>');
    server.put('/layer', readFileSync(source('layer.qcow2')));
    server.put('/short.xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2, 3]));
    server.put('/slow', Buffer.alloc(4 * MIB), [{ stallAfter: 1000 }]);
    const get = async (path: string, format: string, options = {}): Promise<unknown> =>
      await receiveImage({ url: server.url + path, to: at('x'), format }, options);
    await expect(get('/page', 'iso')).rejects.toMatchObject({ code: 'remote.invalid' });
    await expect(get('/page', 'qcow2')).rejects.toMatchObject({ code: 'remote.invalid' });
    await expect(get('/layer', 'qcow2')).rejects.toMatchObject({ code: 'remote.invalid' });
    await expect(get('/short.xz', 'raw')).rejects.toMatchObject({ code: 'remote.invalid' });
    await expect(get('/none', 'raw')).rejects.toMatchObject({
      code: 'remote.invalid',
      message: expect.stringContaining('nothing to download'),
    });
    await expect(get('/slow', 'raw', { freeBytes: async () => 65 * MIB })).rejects.toMatchObject({ code: 'host.no-space' });
    // The server holds the rest back, so the cancel always arrives mid-download.
    server.put('/slow', Buffer.alloc(4 * MIB), [{ stallAfter: 1000 }]);
    const stop = new AbortController();
    const cancelled = get('/slow', 'raw', { signal: stop.signal, progress: () => stop.abort() });
    await expect(cancelled).rejects.toMatchObject({ code: 'cancelled' });
    expect(readdirSync(folder)).toEqual([]);
  });

  test('is resumed after an interruption, unless its server gives no mark of the file', async () => {
    const image = readFileSync(source('data.raw'));
    const store = at('store');
    const get = async (to: string): Promise<unknown> =>
      await receiveImage({ url: `${server.url}/d.raw`, to: at(to), format: 'raw' }, { store, download: { attempts: 1, backOffMs: 1 } });
    const ranges = (): readonly unknown[] => server.requests.map(({ headers }) => headers.range);
    server.put('/d.raw', image, [{ dropAfter: MIB }, { status: 503 }]);
    await expect(get('a')).rejects.toMatchObject({ code: 'remote.unreachable' });
    expect(readdirSync(folder)).toEqual(['store']);
    await expect(get('a')).rejects.toMatchObject({ code: 'remote.unreachable' });
    expect(ranges().at(-1)).toMatch(/^bytes=\d+-$/);
    await get('a');
    expect(ranges().at(-1)).toMatch(/^bytes=\d+-$/);
    expect(readFileSync(at('a')).equals(image)).toBe(true);
    expect(readdirSync(join(store, '.parts')).filter((name) => !name.endsWith('.lock'))).toEqual([]);
    server.put('/d.raw', image, [{ dropAfter: MIB, etag: 'W/"weak"' }]);
    await expect(get('b')).rejects.toMatchObject({ code: 'remote.unreachable' });
    await get('b');
    expect(ranges().at(-1)).toBeUndefined();
    expect(readFileSync(at('b')).equals(image)).toBe(true);
  });

  test('has the size given in its image, not the file size', async () => {
    await createEmptyDisk({ path: source('empty.qcow2'), format: 'qcow2', size: 64 * MIB });
    expect(await receiveImage({ url: pathToFileURL(source('empty.qcow2')).href, to: at('e'), format: 'qcow2' })).toEqual({
      virtualSize: 64 * MIB,
    });
  });
});
