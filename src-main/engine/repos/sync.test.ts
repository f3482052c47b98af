import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { runChecked } from '../core/run.ts';
import type { RpmSection } from './definition/section.ts';
import { type RepositoryServer, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { type InventedPackage, primaryXml, repositoryOf, rpmPackage, rpmSection } from './rpm/repository.test-support.ts';
import { type SyncOptions, syncRepo } from './sync.ts';
import type { SyncResult } from './sync-result.ts';

let store = '';
let server: RepositoryServer;

beforeEach(async () => {
  store = mkdtempSync(join(tmpdir(), 'lago-sync-'));
  server = await startRepositoryServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(store, { recursive: true });
});

async function sync(more: Partial<RpmSection> = {}, options: Partial<SyncOptions> = {}): Promise<SyncResult> {
  return await syncRepo(rpmSection(server.url, more), { store, log: silentLog, env: {}, backOffMs: 1, ...options });
}

/** Serves a repository and forgets earlier requests. */
function serve(packages: readonly InventedPackage[], more: Parameters<typeof repositoryOf>[1] = []): void {
  server.serve(repositoryOf(packages, more));
  server.requests.length = 0;
}

function packagesIn(folder = join(store, 'tiny-el9')): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.rpm'))
    .toSorted();
}

function contentOf(one: InventedPackage): Buffer {
  return readFileSync(join(store, 'tiny-el9', one.location));
}

/** Names of the packages that repodata/ lists in its primary metadata. */
function listed(folder = join(store, 'tiny-el9')): readonly string[] {
  const repomd = readFileSync(join(folder, 'repodata/repomd.xml'), 'utf8');
  const primary = /href=['"](repodata\/[^'"]*primary[^'"]*)['"]/.exec(repomd)?.[1] ?? '';
  const text = gunzipSync(readFileSync(join(folder, primary))).toString();
  const names = [...text.matchAll(/<location href="([^"]+)"/g)].map(([, href]) => href ?? '');
  expect(text).toContain(`packages="${names.length}"`);
  return names.toSorted();
}

const fetchedPackages = (): readonly string[] => server.requests.filter((path) => path.endsWith('.rpm'));

describe('synchronising an rpm repository', () => {
  test('fetches the newest packages, and makes the folder a repository of just these', async () => {
    const [old, newer, other] = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1'), rpmPackage('b', '1', '1')];
    serve([old, newer, other]);
    const result = await sync();
    expect(result).toEqual({
      id: 'tiny-el9',
      path: join(store, 'tiny-el9'),
      packages: 2,
      bytes: 600,
      fetched: { packages: 2, bytes: 600 },
      kept: 0,
      added: ['a-2-1.noarch', 'b-1-1.noarch'],
      removed: [],
      problems: [],
    });
    expect(packagesIn()).toEqual([newer.location, other.location]);
    expect(listed()).toEqual([newer.location, other.location]);
    expect(contentOf(newer).equals(newer.content)).toBe(true);
  });

  test('asks only for the index when nothing has changed', async () => {
    serve([rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')]);
    await sync();
    server.requests.length = 0;
    const again = await sync();
    expect(server.requests).toEqual(['repodata/repomd.xml']);
    expect(again).toMatchObject({ packages: 2, kept: 2, fetched: { packages: 0 }, added: [], removed: [] });
  });

  test('fetches what is new, and removes what is gone', async () => {
    const [a1, a2, b, c] = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1'), rpmPackage('b', '1', '1'), rpmPackage('c', '1', '1')];
    serve([a1, b, c]);
    await sync();
    writeFileSync(join(store, 'tiny-el9/notes.txt'), 'kept');
    serve([a1, a2, b]);
    const result = await sync();
    expect(fetchedPackages()).toEqual([a2.location]);
    expect(result).toMatchObject({ packages: 2, kept: 1, added: ['a-2-1.noarch'], removed: [a1.location, c.location] });
    expect(packagesIn()).toEqual([a2.location, b.location]);
    expect(existsSync(join(store, 'tiny-el9/notes.txt'))).toBe(true);
    const repomd = readFileSync(join(store, 'tiny-el9/repodata/repomd.xml'), 'utf8');
    const files = readdirSync(join(store, 'tiny-el9/repodata')).filter((name) => name !== 'repomd.xml');
    expect(files.every((name) => repomd.includes(name))).toBe(true);
  });

  test('repairs packages that are damaged, cut off or gone, and fetches no other', async () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => rpmPackage(name, '1', '1'));
    serve(all);
    await sync();
    const [a, b, c] = all.map(({ location }) => join(store, 'tiny-el9', location)) as [string, string, string];
    writeFileSync(a, randomBytes(300));
    appendFileSync(b, 'more');
    rmSync(c);
    server.requests.length = 0;
    expect(await sync()).toMatchObject({ fetched: { packages: 3 }, kept: 1 });
    expect(fetchedPackages().toSorted()).toEqual(all.slice(0, 3).map(({ location }) => location));
    for (const one of all) expect(contentOf(one).equals(one.content)).toBe(true);
  });

  test('trusts size and time unless it is asked to verify', async () => {
    const one = rpmPackage('a', '1', '1');
    serve([one]);
    await sync();
    const path = join(store, 'tiny-el9', one.location);
    const { atime, mtime, mtimeMs } = statSync(path);
    writeFileSync(path, randomBytes(300));
    utimesSync(path, atime, mtime);
    // A time with more digits than can be set is not trusted in the first place.
    if (statSync(path).mtimeMs === mtimeMs) expect(await sync()).toMatchObject({ fetched: { packages: 0 } });
    expect(await sync({}, { verify: true })).toMatchObject({ fetched: { packages: 1 } });
    expect(contentOf(one).equals(one.content)).toBe(true);
  });

  test('takes over what another program has fetched', async () => {
    const [good, bad] = [rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')];
    serve([good, bad]);
    for (const one of [good, bad]) {
      const path = join(store, 'tiny-el9', one.location);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, one === good ? one.content : randomBytes(300));
    }
    await sync();
    expect(fetchedPackages()).toEqual([bad.location]);
  });

  test('never changes a file that others have linked', async () => {
    const one = rpmPackage('a', '1', '1');
    serve([one]);
    await sync();
    const link = join(store, 'link.rpm');
    linkSync(join(store, 'tiny-el9', one.location), link);
    const next = rpmPackage('a', '1', '1', 'noarch', '0', 301);
    serve([next]);
    await sync();
    expect(readFileSync(link).equals(one.content)).toBe(true);
    expect(contentOf(next).equals(next.content)).toBe(true);
  });

  test('makes damaged metadata anew', async () => {
    serve([rpmPackage('a', '1', '1')]);
    await sync();
    const repodata = join(store, 'tiny-el9/repodata');
    const before = listed();
    for (const name of readdirSync(repodata)) writeFileSync(join(repodata, name), 'broken');
    await sync();
    expect(listed()).toEqual(before);
    writeFileSync(join(store, '.lago/tiny-el9/record.json'), '{"version": 1');
    expect(await sync()).toMatchObject({ packages: 1, fetched: { packages: 0 } });
  });

  test.each([
    ['xz', ['xz', '--stdout']],
    ['zst', ['zstd', '--stdout', '--quiet']],
    ['bz2', ['bzip2', '--stdout']],
    ['none', ['cat']],
  ])('reads metadata packed with %s', async (extension, argv) => {
    const packages = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1')];
    const plain = join(store, 'primary.xml');
    const packed = join(store, `primary.xml.${extension}`);
    writeFileSync(plain, primaryXml(packages));
    await runChecked(['bash', '-c', '"${@:3}" < "$1" > "$2"', 'bash', plain, packed, ...argv], 'Packing failed.');
    serve(packages, [{ type: 'primary', name: `primary.xml.${extension}`, content: readFileSync(packed) }]);
    expect(await sync()).toMatchObject({ packages: 1, added: ['a-2-1.noarch'] });
    expect(listed()).toEqual([packages[1]?.location]);
  });

  test('reads metadata that is only there as zchunk', async () => {
    const packages = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1')];
    const plain = join(store, 'primary.xml');
    writeFileSync(plain, primaryXml(packages));
    await runChecked(['zck', plain, '-o', `${plain}.zck`], 'Packing failed.');
    const files = new Map(
      repositoryOf(packages, [{ type: 'primary_zck', name: 'primary.xml.zck', content: readFileSync(`${plain}.zck`) }]),
    );
    const repomd = files.get('repodata/repomd.xml')?.toString() ?? '';
    files.set('repodata/repomd.xml', Buffer.from(repomd.replace(/ {2}<data type="primary">[\s\S]*?<\/data>\n/, '')));
    server.serve(files);
    expect(await sync()).toMatchObject({ packages: 1, added: ['a-2-1.noarch'] });
    expect(listed()).toEqual([packages[1]?.location]);
  });

  test('keeps other metadata as it is', async () => {
    const comps = Buffer.from('<comps/>');
    serve(
      [rpmPackage('a', '1', '1')],
      [
        { type: 'group', name: 'comps.xml', content: comps },
        { type: 'primary_db', name: 'primary.sqlite.bz2', content: Buffer.from('SQLite') },
      ],
    );
    await sync();
    const names = readdirSync(join(store, 'tiny-el9/repodata'));
    expect(names.filter((name) => name.includes('comps'))).toHaveLength(1);
    expect(names.filter((name) => name.includes('sqlite'))).toHaveLength(0);
  });

  test('resumes what an interrupted process has received', async () => {
    const one = rpmPackage('big', '1', '1', 'noarch', '0', 3_000_000);
    serve([one]);
    server.fail((path) => (path.endsWith('.rpm') ? { kind: 'truncate', share: 0.5 } : undefined));
    let requests = 0;
    const stop = new AbortController();
    server.watch((request) => {
      if (request.url?.endsWith('.rpm') === true && ++requests === 3) stop.abort();
    });
    await expect(sync({}, { signal: stop.signal })).rejects.toThrow();
    server.fail(undefined);
    const ranges: (string | undefined)[] = [];
    server.watch((request) => request.url?.endsWith('.rpm') === true && ranges.push(request.headers.range));
    await sync();
    expect(contentOf(one).equals(one.content)).toBe(true);
    expect(ranges.every((range) => range !== undefined)).toBe(true);
  });

  test('has another folder for other filters of the same id, and links what both have', async () => {
    const [a, b] = [rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')];
    serve([a, b]);
    await sync();
    server.requests.length = 0;
    const result = await sync({ excludes: ['b'] });
    expect(result.path).toMatch(/\/tiny-el9~[0-9a-f]{8}$/);
    expect(packagesIn(result.path)).toEqual([a.location]);
    expect(listed(result.path)).toEqual([a.location]);
    expect(fetchedPackages()).toEqual([]);
    expect(packagesIn()).toEqual([a.location, b.location]);
  });

  test('two at once share one synchronisation', async () => {
    serve([rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')]);
    const results = await Promise.all([sync(), sync(), sync()]);
    expect(fetchedPackages()).toHaveLength(2);
    expect(results.map(({ packages }) => packages)).toEqual([2, 2, 2]);
  });

  test('keeps to its connections', async () => {
    serve(Array.from({ length: 40 }, (_, index) => rpmPackage(`p${index}`, '1', '1')));
    await sync({ maxConnections: 3 });
    expect(server.connections()).toBeLessThanOrEqual(3);
  });

  test('uses the next mirror where one fails, also for single packages', async () => {
    const packages = [rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')];
    serve(packages);
    await using poor = await startRepositoryServer(new Map([...repositoryOf(packages)].filter(([path]) => !path.includes('b-1'))));
    expect(await sync({ baseurls: ['http://127.0.0.1:1/', poor.url, server.url] })).toMatchObject({ packages: 2, problems: [] });
  });

  test('finds servers by a mirror list and a metalink, whose checksum the index must have', async () => {
    const packages = [rpmPackage('a', '1', '1')];
    const files = repositoryOf(packages);
    const index = files.get('repodata/repomd.xml') ?? Buffer.alloc(0);
    await using stale = await startRepositoryServer(repositoryOf([rpmPackage('a', '0', '1')]));
    const metalink = `<?xml version="1.0"?><metalink xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><verification>
      <hash type="md5">00000000000000000000000000000000</hash><hash type="sha256">${createHash('sha256').update(index).digest('hex')}</hash></verification>
      <resources><url protocol="http" preference="100">${stale.url}repodata/repomd.xml</url>
      <url protocol="http" preference="90">${server.url}repodata/repomd.xml</url></resources></file></files></metalink>`;
    server.serve(new Map([...files, ['list', Buffer.from(`# a comment\n${server.url}\n`)], ['metalink', Buffer.from(metalink)]]));
    expect(await sync({ baseurls: [], metalink: `${server.url}metalink` })).toMatchObject({ added: ['a-1-1.noarch'] });
    expect(await sync({ baseurls: [], mirrorlist: `${server.url}list` })).toMatchObject({ packages: 1 });
  });

  test('takes nothing from a mirror of a metalink that lies, and all from the others', async () => {
    const packages = ['a', 'b', 'c', 'd'].map((name) => rpmPackage(name, '1', '1', 'noarch', '0', 400_000));
    const files = repositoryOf(packages);
    const digest = createHash('sha256')
      .update(files.get('repodata/repomd.xml') ?? '')
      .digest('hex');
    await using liar = await startRepositoryServer(files);
    await using other = await startRepositoryServer(files);
    const urls = [liar.url, server.url, other.url].map(
      (url, at) => `<url protocol="http" preference="${100 - at}">${url}repodata/repomd.xml</url>`,
    );
    const metalink = `<metalink><files><file name="repomd.xml"><verification><hash type="sha256">${digest}</hash></verification>
      <resources>${urls.join('')}</resources></file></files></metalink>`;
    server.serve(new Map([...files, ['metalink', Buffer.from(metalink)]]));
    for (const wrong of ['repomd.xml', 'primary.xml.gz', '.rpm']) {
      liar.fail((path) => (path.endsWith(wrong) ? { kind: 'lie' } : undefined));
      liar.requests.length = 0;
      expect(await sync({ baseurls: [], metalink: `${server.url}metalink` })).toMatchObject({ packages: 4, problems: [] });
      expect(liar.requests.some((path) => path.endsWith(wrong))).toBe(true);
      for (const one of packages) expect(contentOf(one).equals(one.content)).toBe(true);
      for (const name of ['tiny-el9', '.lago']) rmSync(join(store, name), { recursive: true });
    }
  });

  test('does without a list of mirrors that cannot be had, where there is a baseurl', async () => {
    serve([rpmPackage('a', '1', '1')]);
    const said: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void said.push(message) };
    for (const mirrorlist of [`${server.url}none`, 'http://127.0.0.1:1/list']) {
      expect(await sync({ mirrorlist }, { log })).toMatchObject({ packages: 1 });
    }
    expect(said).toEqual([
      `The list of servers of the repository tiny-el9 does not exist: ${server.url}none. Only what baseurl of tiny-el9 names is used.`,
      expect.stringMatching(/^http:\/\/127.0.0.1:1\/list cannot be fetched: .* Only what baseurl of tiny-el9 names is used.$/),
    ]);
    // Its servers are there for what the baseurl does not have.
    await using poor = await startRepositoryServer();
    server.serve(new Map([...repositoryOf([rpmPackage('b', '1', '1')]), ['list', Buffer.from(server.url)]]));
    expect(await sync({ baseurls: [poor.url], mirrorlist: `${server.url}list` })).toMatchObject({ added: ['b-1-1.noarch'] });
  });

  test('passes over metadata whose checksum is of an unknown kind, and says so', async () => {
    const one = rpmPackage('a', '1', '1');
    const files = new Map(repositoryOf([one], [{ type: 'group', name: 'comps.xml', content: Buffer.from('<comps/>') }]));
    const index = files.get('repodata/repomd.xml')?.toString() ?? '';
    const replaced = (type: string): Buffer =>
      Buffer.from(
        index.replace(`<data type="${type}">\n    <checksum type="sha256">`, `<data type="${type}">\n    <checksum type="crc32">`),
      );
    const said: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void said.push(message) };
    server.serve(files.set('repodata/repomd.xml', replaced('group')));
    expect(await sync({}, { log })).toMatchObject({ packages: 1 });
    expect(said).toEqual(['Metadata of the repository tiny-el9 is passed over: group has no checksum of a known kind ("crc32").']);
    server.serve(files.set('repodata/repomd.xml', replaced('primary')));
    await expect(sync()).rejects.toMatchObject({
      message: expect.stringMatching(/no list of packages.*primary has no checksum of a known kind/),
    });
  });

  test.each([
    ['does not exist', 'file:///nonexistent/repository/', /is not there/],
    ['is on another machine', 'file://server/repository/', /it cannot be read/],
  ])('says that a folder %s', async (_, url, message) => {
    await expect(sync({ baseurls: [url] })).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringMatching(message) });
  });

  test('reads a folder of this machine by file://', async () => {
    const folder = join(store, 'source');
    const one = rpmPackage('a', '1', '1', 'noarch', '0', 400_000);
    for (const [path, content] of repositoryOf([one])) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), content);
    }
    expect(await sync({ baseurls: [pathToFileURL(folder).href] })).toMatchObject({ packages: 1 });
    expect(contentOf(one).equals(one.content)).toBe(true);
    expect(await sync({ baseurls: [pathToFileURL(folder).href] })).toMatchObject({ fetched: { packages: 0 } });
  });

  test('logs in, but only to the server that it is for', async () => {
    serve([rpmPackage('a', '1', '1')]);
    const seen = new Set<string | undefined>();
    server.watch((request) => seen.add(request.headers.authorization));
    await sync({ connection: { sslVerify: true, username: 'user', password: 'pass' } });
    expect([...seen]).toEqual([`Basic ${Buffer.from('user:pass').toString('base64')}`]);
  });

  test('fetches the others when one package cannot be had, and says which', async () => {
    const [a, b] = [rpmPackage('a', '1', '1'), rpmPackage('b', '1', '1')];
    server.serve(new Map([...repositoryOf([a, b])].filter(([path]) => path !== b.location)));
    const result = await sync();
    expect(result).toMatchObject({ packages: 1, problems: [expect.stringContaining('b-1-1.noarch: ')] });
    expect(listed()).toEqual([a.location]);
    serve([a, b]);
    expect(await sync()).toMatchObject({ packages: 2, fetched: { packages: 1 }, problems: [] });
  });

  test('starts over when the repository changes while it is fetched', async () => {
    const [a1, a2] = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1')];
    const later = repositoryOf([a2]);
    serve([a1]);
    server.watch((request) => {
      // The list of packages is still there, the package is not any more.
      if (request.url?.endsWith('.rpm') === true) server.serve(later);
    });
    server.fail((path) => (path === a1.location ? { kind: 'status', status: 404 } : undefined));
    expect(await sync()).toMatchObject({ packages: 1, problems: [] });
    expect(packagesIn()).toEqual([a2.location]);
  });

  test.each([
    ['no such repository', new Map<string, Buffer>(), 'remote.invalid', /is not there/],
    ['an index that is none', new Map([['repodata/repomd.xml', Buffer.from('<html></html>')]]), 'remote.hash-mismatch', /not the index/],
    [
      'a package outside of the repository',
      repositoryOf([{ ...rpmPackage('a', '1', '1'), location: '../../a.rpm' }]),
      'remote.invalid',
      /not inside/,
    ],
    [
      'metadata that is damaged at its source',
      repositoryOf([], [{ type: 'primary', name: 'primary.xml.gz', content: Buffer.from([0x1f, 0x8b, 0x08, 1, 2, 3]) }]),
      'remote.invalid',
      /cannot be decompressed/,
    ],
    [
      'metadata that ends within a package',
      repositoryOf([], [{ type: 'primary', name: 'primary.xml', content: Buffer.from('<metadata packages="1"><package type="rpm">') }]),
      'remote.invalid',
      /ends in the middle/,
    ],
  ])('says so of %s', async (_, files, code, message) => {
    server.serve(files);
    await expect(sync({ connection: { sslVerify: true, retries: 2 } })).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message),
    });
  });

  test('gives up on a server that is away, and on a cancel', async () => {
    await expect(sync({ baseurls: ['http://127.0.0.1:1/'], connection: { sslVerify: true, retries: 2 } })).rejects.toMatchObject({
      code: 'remote.unreachable',
    });
    serve([rpmPackage('a', '1', '1')]);
    const stop = new AbortController();
    server.watch(() => stop.abort());
    await expect(sync({}, { signal: stop.signal })).rejects.toThrow();
    server.watch(undefined);
    expect(await sync()).toMatchObject({ packages: 1 });
  });
});
