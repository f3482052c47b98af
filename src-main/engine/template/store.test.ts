import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { runChecked } from '../core/run.ts';
import { createOverlay, inspectImage } from '../disk/qemu-img.ts';
import type { TemplateVersion } from './repository.ts';
import { contentsOf, MIB, rawImage, sha1, templateVersion } from './store.test-support.ts';
import { openStore, type StoreOptions } from './store.ts';

const quick: StoreOptions = { download: { backOffMs: 1, env: {} } };
let folder = '';
let server: MisbehavingServer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago store '));
  server = await startMisbehavingServer();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

const storePath = (): string => join(folder, 'store');
const contents = (): Record<string, string> => contentsOf(storePath());

/** Puts an image with hash and metadata on the server. */
function publish(image: Buffer, served: Buffer = image, name = '/el7.qcow2'): TemplateVersion {
  server.put(name, served);
  server.put(`${name}.hash`, `${sha1(image)}\n`);
  server.put(`${name}.metadata`, JSON.stringify({ distro: 'el7', 'root-partition': '/dev/sda3' }));
  return templateVersion(`${server.url}${name}`);
}

async function qcow2(extra: readonly string[] = []): Promise<Buffer> {
  const path = join(folder, `${randomBytes(4).toString('hex')}.qcow2`);
  await runChecked(['qemu-img', 'create', '-q', '-f', 'qcow2', ...extra, path, '16M'], 'qemu-img failed.');
  return readFileSync(path);
}

describe('fetching', () => {
  test('stores a template as Lago does, with holes, and finds it again', async () => {
    const image = rawImage();
    const store = openStore(storePath(), quick);
    const progress: number[] = [];
    const stored = await store.fetch(publish(image), { progress: (fraction) => progress.push(fraction) });
    const path = join(storePath(), 'office:el7:v1');
    expect(stored).toEqual({
      fullName: 'office:el7:v1',
      path,
      format: 'raw',
      virtualSize: image.length,
      sha1: sha1(image),
      metadata: { distro: 'el7', 'root-partition': '/dev/sda3' },
    });
    expect(readFileSync(path).equals(image)).toBe(true);
    expect(statSync(path).blocks * 512).toBeLessThan(MIB);
    expect(readFileSync(`${path}.hash`, 'utf8')).toBe(sha1(image));
    expect(JSON.parse(readFileSync(`${path}.metadata`, 'utf8'))).toEqual({ distro: 'el7', 'root-partition': '/dev/sda3' });
    expect(progress.at(-1)).toBe(1);
    expect(await store.find('office:el7:v1')).toEqual(stored);
    expect(await store.list()).toEqual(['office:el7:v1']);
    const before = server.requests.length;
    expect(await store.fetch(publish(image))).toEqual(stored);
    expect(server.requests).toHaveLength(before);
  });

  test('keeps qcow2 as it is, ready for an overlay', async () => {
    const image = await qcow2();
    const stored = await openStore(storePath(), quick).fetch(publish(image));
    expect(stored).toMatchObject({ format: 'qcow2', virtualSize: 16 * MIB });
    await createOverlay({ path: join(folder, 'disk.qcow2'), backing: stored.path, backingFormat: stored.format });
    expect(await inspectImage(join(folder, 'disk.qcow2'))).toMatchObject({ virtualSize: 16 * MIB, backingFormat: 'qcow2' });
  });

  test.each([
    ['gzip', (image: Buffer) => gzipSync(image)],
    ['xz', (image: Buffer) => spawnSync('xz', ['-c0'], { input: image, maxBuffer: 64 * MIB }).stdout],
    ['zstd', (image: Buffer) => spawnSync('zstd', ['-cq'], { input: image, maxBuffer: 64 * MIB }).stdout],
    ['bzip2', (image: Buffer) => spawnSync('bzip2', ['-c'], { input: image, maxBuffer: 64 * MIB }).stdout],
  ])('unpacks %s by its content', async (_, compress) => {
    const image = rawImage();
    const stored = await openStore(storePath(), quick).fetch(publish(image, compress(image)));
    expect(readFileSync(stored.path).equals(image)).toBe(true);
  });

  test('prefers the .xz that Lago’s servers have', async () => {
    const image = rawImage();
    const announced = publish(image, Buffer.from('never read'));
    server.put('/el7.qcow2.xz', spawnSync('xz', ['-c0'], { input: image, maxBuffer: 64 * MIB }).stdout);
    const stored = await openStore(storePath(), quick).fetch(announced);
    expect(readFileSync(stored.path).equals(image)).toBe(true);
  });

  test('survives dropped connections', async () => {
    const image = rawImage();
    const announced = publish(image);
    server.put('/el7.qcow2', image, [{ dropAfter: 50_000 }, { dropAfter: MIB }, { stallAfter: 10 }]);
    const stored = await openStore(storePath(), { download: { backOffMs: 1, idleMs: 100, env: {} } }).fetch(announced);
    expect(readFileSync(stored.path).equals(image)).toBe(true);
  });

  test('copies from a folder', async () => {
    const image = rawImage();
    const path = join(folder, 'an image.qcow2');
    writeFileSync(path, image);
    writeFileSync(`${path}.hash`, sha1(image));
    const stored = await openStore(storePath(), quick).fetch(templateVersion(pathToFileURL(path).href));
    expect(stored).toMatchObject({ metadata: {}, sha1: sha1(image) });
  });

  test('makes folders for names with a slash', async () => {
    const image = rawImage();
    const announced = templateVersion(publish(image).url, { template: 'el/7' });
    const store = openStore(storePath(), quick);
    expect((await store.fetch(announced)).path).toBe(join(storePath(), 'office:el/7:v1'));
    expect(await store.list()).toEqual(['office:el/7:v1']);
  });

  test('starts over after a killed process', async () => {
    const image = rawImage();
    mkdirSync(storePath());
    writeFileSync(join(storePath(), 'office:el7:v1.tmp'), randomBytes(8 * MIB));
    writeFileSync(join(storePath(), 'office:el7:v1.lock'), '{"pid":1,"purpose":"x","since":0}');
    const stored = await openStore(storePath(), quick).fetch(publish(image));
    expect(readFileSync(stored.path).equals(image)).toBe(true);
    expect(existsSync(`${stored.path}.tmp`)).toBe(false);
  });
});

describe('what goes wrong leaves the store as it was', () => {
  async function refused(announced: TemplateVersion, expected: object, options: StoreOptions = quick): Promise<void> {
    const before = contents();
    await expect(openStore(storePath(), options).fetch(announced)).rejects.toMatchObject(expected);
    expect(contents()).toEqual(before);
  }

  test('an image that does not match the hash', async () => {
    await refused(publish(rawImage(), rawImage()), {
      code: 'remote.hash-mismatch',
      message: expect.stringContaining('Image office:el7:v1 does not match the expected hash'),
    });
  });

  test('a checksum of the repository that does not match, though .hash does', async () => {
    const image = rawImage();
    const good = { sha512: createHash('sha512').update(image).digest('hex') };
    await refused({ ...publish(image), checksums: { ...good, sha256: '0'.repeat(64) } }, { code: 'remote.hash-mismatch' });
    expect(await openStore(storePath(), quick).fetch({ ...publish(image), checksums: good })).toMatchObject({ sha1: sha1(image) });
  });

  test('no checksum at all, or an invalid one', async () => {
    server.put('/bare.qcow2', rawImage());
    await refused(templateVersion(`${server.url}/bare.qcow2`), { code: 'remote.invalid', message: expect.stringContaining('no checksum') });
    server.put('/bare.qcow2.hash', '<html>');
    await refused(templateVersion(`${server.url}/bare.qcow2`), { code: 'remote.invalid' });
  });

  test('no image', async () => {
    server.put('/gone.qcow2.hash', 'a'.repeat(40));
    await refused(templateVersion(`${server.url}/gone.qcow2`), {
      code: 'remote.invalid',
      message: expect.stringContaining('not where its repository says'),
    });
  });

  test('a server that lies about the length', async () => {
    const image = rawImage();
    const announced = publish(image);
    server.put('/el7.qcow2', image, [{ announce: image.length + 1000 }]);
    await refused(announced, { code: 'remote.invalid' });
    server.put('/el7.qcow2', image, [{ content: image.subarray(0, MIB) }]);
    await refused(announced, { code: 'remote.hash-mismatch' });
  });

  test('nobody answers', async () => {
    const announced = publish(rawImage());
    server.put(
      '/el7.qcow2',
      rawImage(),
      Array.from({ length: 9 }, () => ({ dropAfter: 0 })),
    );
    await refused(announced, { code: 'remote.unreachable' }, { download: { backOffMs: 1, attempts: 2, env: {} } });
  });

  test('a damaged archive', async () => {
    const image = rawImage();
    const packed = spawnSync('xz', ['-c0'], { input: image, maxBuffer: 64 * MIB }).stdout;
    await refused(publish(image, packed.subarray(0, packed.length - 100)), {
      code: 'remote.invalid',
      message: expect.stringContaining('decompressed'),
    });
    await refused(publish(image, gzipSync(image).subarray(0, 50_000)), {
      code: 'remote.invalid',
      message: expect.stringContaining('decompressed'),
    });
  });

  test('a program that is not installed', async () => {
    const image = rawImage();
    const announced = publish(image, spawnSync('zstd', ['-cq'], { input: image, maxBuffer: 64 * MIB }).stdout);
    const bin = join(folder, 'bin');
    mkdirSync(bin);
    // A PATH with everything that the store itself runs, but no zstd.
    symlinkSync(spawnSync('which', ['flock'], { encoding: 'utf8' }).stdout.trim(), join(bin, 'flock'));
    const path = process.env['PATH'];
    process.env['PATH'] = bin;
    try {
      await refused(announced, { code: 'host.missing-tool', hint: 'Install zstd.' });
    } finally {
      process.env['PATH'] = path;
    }
  });

  test('an image that would read other files of this machine', async () => {
    const secret = join(folder, 'secret');
    writeFileSync(secret, randomBytes(MIB));
    const image = await qcow2(['-F', 'raw', '-b', secret]);
    await refused(publish(image), { code: 'remote.invalid', message: expect.stringContaining('needs another file') });
  });

  test('no space, known before', async () => {
    await refused(
      publish(rawImage()),
      { code: 'host.no-space', message: expect.stringContaining('MiB more are needed') },
      { ...quick, freeBytes: async () => MIB },
    );
  });

  test('no space, found while an archive unpacks', async () => {
    const image = Buffer.alloc(600 * MIB);
    let asked = 0;
    const freeBytes = async (): Promise<number> => (asked++ === 0 ? 1024 * MIB : 0);
    await refused(publish(image, gzipSync(image, { level: 1 })), { code: 'host.no-space' }, { ...quick, freeBytes });
  });

  test('cancelled during the download', async () => {
    const announced = publish(rawImage());
    server.put('/el7.qcow2', rawImage(), [{ stallAfter: MIB }]);
    const abort = new AbortController();
    const before = contents();
    const fetching = openStore(storePath(), quick).fetch(announced, { signal: abort.signal, progress: () => abort.abort() });
    await expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
    expect(contents()).toEqual(before);
  });

  test('names that would escape the store', async () => {
    await refused(templateVersion(`${server.url}/x`, { repository: '../../etc', template: 'x' }), { code: 'input.invalid' });
    await refused(templateVersion(`${server.url}/x`, { version: 'v1.metadata' }), { code: 'input.invalid' });
  });
});

describe('looking', () => {
  test('reports what would be fetched and changes nothing', async () => {
    const image = await qcow2();
    const announced = publish(image);
    const store = openStore(storePath(), quick);
    expect(await store.resolve(announced)).toEqual({
      fullName: 'office:el7:v1',
      template: 'el7',
      version: 'v1',
      cached: false,
      path: join(storePath(), 'office:el7:v1'),
      metadata: { distro: 'el7', 'root-partition': '/dev/sda3' },
      distro: 'el7',
      size: null,
      format: undefined,
      downloadSize: image.length,
      from: announced.url,
    });
    expect(existsSync(storePath())).toBe(false);
    expect(await store.list()).toEqual([]);
    await store.fetch(announced);
    const before = { requests: server.requests.length, contents: contents() };
    expect(await store.resolve(announced)).toMatchObject({ cached: true, size: 16 * MIB, format: 'qcow2', downloadSize: 0, distro: 'el7' });
    expect({ requests: server.requests.length, contents: contents() }).toEqual(before);
  });

  test('knows the virtual size of a local image', async () => {
    const path = join(folder, 'local.qcow2');
    writeFileSync(path, await qcow2());
    expect(await openStore(storePath(), quick).resolve(templateVersion(pathToFileURL(path).href))).toMatchObject({
      size: 16 * MIB,
      cached: false,
    });
  });

  test('reads what Lago stored', async () => {
    mkdirSync(storePath());
    const image = rawImage();
    const path = join(storePath(), 'office:el7:v1');
    writeFileSync(path, image);
    writeFileSync(`${path}.hash`, sha1(image));
    writeFileSync(`${path}.metadata`, '{"distro": "el7"}');
    expect(await openStore(storePath(), quick).find('office:el7:v1')).toEqual({
      fullName: 'office:el7:v1',
      path,
      format: 'raw',
      virtualSize: image.length,
      sha1: sha1(image),
      metadata: { distro: 'el7' },
    });
  });
});

test('users are recorded as Lago does, and those that are gone are dropped', async () => {
  const store = openStore(storePath(), quick);
  const { fullName, path } = await store.fetch(publish(rawImage()));
  const [one, two] = [join(folder, 'one'), join(folder, 'two')];
  writeFileSync(one, 'aaaa');
  writeFileSync(two, 'bbbb');
  await store.markUsed(fullName, { uuidFile: one, uuid: 'aaaa' });
  await store.markUsed(fullName, { uuidFile: two, uuid: 'bbbb' });
  const users = (): unknown => (JSON.parse(readFileSync(`${path}.users`, 'utf8')) as { users: unknown }).users;
  expect(users()).toEqual({ [one]: 'aaaa', [two]: 'bbbb' });
  rmSync(one);
  await store.markUsed(fullName, { uuidFile: two, uuid: 'bbbb' });
  expect(users()).toEqual({ [two]: 'bbbb' });
});
