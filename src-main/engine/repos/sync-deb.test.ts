import { execFileSync } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import {
  type ArchiveShape,
  archiveFiles,
  debPackage,
  debSection,
  type InventedDeb,
  packagesText,
  sha256,
} from './deb/archive.test-support.ts';
import type { DebSection } from './definition/section.ts';
import { type RepositoryServer, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { buildDebs } from './merge/build-packages.test-support.ts';
import { removeStored } from './store/stored.ts';
import { type SyncOptions, syncRepo } from './sync.ts';
import type { SyncResult } from './sync-result.ts';

let store = '';
let server: RepositoryServer;

beforeEach(async () => {
  store = mkdtempSync(join(tmpdir(), 'lago-sync-deb-'));
  server = await startRepositoryServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(store, { recursive: true });
});

async function sync(more: Partial<DebSection> = {}, options: Partial<SyncOptions> = {}): Promise<SyncResult> {
  return await syncRepo(debSection(server.url, more), { store, log: silentLog, env: {}, backOffMs: 1, ...options });
}

/** Serves an archive and forgets earlier requests. */
function serve(debs: readonly InventedDeb[], shape: ArchiveShape = {}): void {
  server.serve(archiveFiles(debs, shape));
  server.requests.length = 0;
}

const folder = (name = 'tiny-debian12'): string => join(store, name);

function packagesIn(path = folder()): readonly string[] {
  const all = readdirSync(path, { recursive: true, encoding: 'utf8' });
  return all.filter((one) => one.endsWith('.deb')).toSorted();
}

/** Paths of the packages that the folder's index lists, which all its files agree on. */
function listed(path = folder()): readonly string[] {
  const text = readFileSync(join(path, 'Packages'), 'utf8');
  const release = readFileSync(join(path, 'Release'), 'utf8');
  for (const name of ['Packages', 'Packages.gz']) {
    const content = readFileSync(join(path, name));
    expect((name === 'Packages' ? content : gunzipSync(content)).toString()).toBe(text);
    expect(release).toContain(` ${sha256(content)} ${content.length} ${name}\n`);
    expect(readFileSync(join(path, 'by-hash/SHA256', sha256(content))).equals(content)).toBe(true);
  }
  expect(readdirSync(join(path, 'by-hash/SHA256'))).toHaveLength(2);
  return [...text.matchAll(/^Filename: (.*)$/gm)].map(([, one = '']) => one).toSorted();
}

const fetched = (): readonly string[] => server.requests.filter((path) => path.endsWith('.deb')).toSorted();

describe('synchronising a source of apt', () => {
  test('fetches the newest packages, and makes the folder a source of just these', async () => {
    const [old, newer, other] = [debPackage('a', '1.9'), debPackage('a', '1.10', 'Homepage: x'), debPackage('b', '1', '', 'all')];
    serve([old, newer, other, debPackage('c', '1', '', 'arm64')]);
    expect(await sync()).toEqual({
      id: 'tiny-debian12',
      path: folder(),
      packages: 2,
      bytes: 600,
      fetched: { packages: 2, bytes: 600 },
      kept: 0,
      added: ['a_1.10_amd64', 'b_1_all'],
      removed: [],
      problems: [],
    });
    expect(packagesIn()).toEqual([newer.path, other.path]);
    expect(listed()).toEqual([newer.path, other.path]);
    expect(readFileSync(join(folder(), newer.path)).equals(newer.content)).toBe(true);
    expect(readFileSync(join(folder(), 'Packages'), 'utf8')).toBe(`${packagesText([newer, other])}\n`);
  });

  test('asks only for InRelease when nothing has changed', async () => {
    const files = archiveFiles([debPackage('a', '1')]);
    server.serve(new Map([...files, ['dists/test/InRelease', files.get('dists/test/Release') ?? Buffer.alloc(0)]]));
    await sync();
    server.requests.length = 0;
    expect(await sync()).toMatchObject({ packages: 1, kept: 1, fetched: { packages: 0 }, added: [], removed: [] });
    expect(server.requests).toEqual(['dists/test/InRelease']);
  });

  test('fetches what is new, and removes what is gone', async () => {
    const [a1, a2, b, c] = [debPackage('a', '1'), debPackage('a', '2'), debPackage('b', '1'), debPackage('c', '1')];
    serve([a1, b, c]);
    await sync();
    writeFileSync(join(folder(), 'notes.txt'), 'kept');
    serve([a1, a2, b]);
    expect(await sync()).toMatchObject({ packages: 2, kept: 1, added: ['a_2_amd64'], removed: [a1.path, c.path] });
    expect(fetched()).toEqual([a2.path]);
    expect(packagesIn()).toEqual([a2.path, b.path]);
    expect(listed()).toEqual([a2.path, b.path]);
    expect(existsSync(join(folder(), 'notes.txt'))).toBe(true);
  });

  test('repairs packages and an index that are damaged, cut off or gone, and fetches no other', async () => {
    const all = ['a', 'b', 'c', 'd'].map((name) => debPackage(name, '1'));
    serve(all);
    await sync();
    const [a = '', b = '', c = ''] = all.map(({ path }) => join(folder(), path));
    writeFileSync(a, 'damaged');
    appendFileSync(b, 'more');
    rmSync(c);
    server.requests.length = 0;
    expect(await sync()).toMatchObject({ fetched: { packages: 3 }, kept: 1 });
    expect(fetched()).toEqual(all.slice(0, 3).map(({ path }) => path));
    for (const one of all) expect(readFileSync(join(folder(), one.path)).equals(one.content)).toBe(true);
    for (const name of ['Packages', 'Packages.gz', 'Release']) writeFileSync(join(folder(), name), 'broken');
    expect(await sync()).toMatchObject({ fetched: { packages: 0 } });
    expect(listed()).toEqual(all.map(({ path }) => path));
    expect(await sync({}, { verify: true })).toMatchObject({ kept: 4, fetched: { packages: 0 } });
  });

  test('named packages come with what they depend on', async () => {
    const [a, b, c, other] = [
      debPackage('a', '1', 'Depends: v'),
      debPackage('b', '1', 'Provides: v'),
      debPackage('c', '1'),
      debPackage('o', '1'),
    ];
    serve([a, b, c, other]);
    const said: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void said.push(message) };
    expect(await sync({ packages: ['a', 'none'] }, { log })).toMatchObject({ added: ['a_1_amd64', 'b_1_amd64'], problems: [] });
    expect(said).toEqual(['The source tiny-debian12 has no packages none.']);
    expect(listed()).toEqual([a.path, b.path]);
    expect((await sync({ excludes: ['[ab]', 'x*'] })).path).toMatch(/~[0-9a-f]{8}$/);
    expect(fetched()).toEqual([a.path, b.path, c.path, other.path]);
  });

  test.each([
    ['xz', ['xz', '--stdout']],
    ['zst', ['zstd', '--stdout', '--quiet']],
    ['bz2', ['bzip2', '--stdout']],
    ['gz', ['gzip', '--stdout']],
    ['', ['cat']],
  ])('reads an index packed with %j', async (end, argv) => {
    const one = debPackage('a', '1');
    const [program = '', ...args] = argv;
    const content = execFileSync(program, args, { input: packagesText([one]) });
    serve([one], { indexes: new Map([[`main/binary-amd64/Packages${end === '' ? '' : `.${end}`}`, content]]) });
    expect(await sync()).toMatchObject({ packages: 1 });
    expect(listed()).toEqual([one.path]);
  });

  test('takes indexes by their digests, or by their names where these are missing, and the next one where both are', async () => {
    const one = debPackage('a', '1');
    const text = Buffer.from(packagesText([one]));
    const gz = gzipSync(text);
    const indexes = new Map([
      ['main/binary-amd64/Packages', text],
      ['main/binary-amd64/Packages.gz', gz],
    ]);
    const files = archiveFiles([one], { indexes, fields: 'Acquire-By-Hash: yes\n' });
    const byHash = `dists/test/main/binary-amd64/by-hash/SHA256/${sha256(gz)}`;
    server.serve(new Map([...files, [byHash, gz]]));
    await sync();
    expect(server.requests).not.toContain('dists/test/main/binary-amd64/Packages.gz');
    rmSync(store, { recursive: true });
    server.serve(files);
    expect(await sync()).toMatchObject({ packages: 1 });
    rmSync(store, { recursive: true });
    server.serve(new Map([...files].filter(([path]) => !path.endsWith('.gz'))));
    expect(await sync()).toMatchObject({ packages: 1 });
  });

  test('fetches packages of the installer and of debug symbols too, and nothing that is no list of packages', async () => {
    const all = ['deb', 'udeb', 'ddeb'].map((end) => ({ ...debPackage(end, '1'), path: `pool/${end}_1_amd64.${end}` }));
    const indexes = new Map([
      ['main/binary-amd64/Packages', Buffer.from(packagesText(all))],
      ['main/Contents-amd64', Buffer.from('no package')],
      ['main/i18n/Translation-en', Buffer.from('no package')],
      ['main/source/Sources', Buffer.from('no package')],
    ]);
    serve(all, { indexes });
    expect(await sync()).toMatchObject({ packages: 3, problems: [] });
    expect(listed()).toEqual(all.map(({ path }) => path).toSorted());
    expect(server.requests.filter((path) => !path.startsWith('pool/'))).toEqual([
      'dists/test/InRelease',
      'dists/test/Release',
      'dists/test/main/binary-amd64/Packages',
    ]);
    const later = all.slice(0, 1);
    serve(later);
    expect(await sync()).toMatchObject({
      packages: 1,
      removed: all
        .slice(1)
        .map(({ path }) => path)
        .toSorted(),
    });
  });

  test('reads all components and architectures of a source', async () => {
    const [a, b, c] = [debPackage('a', '1'), debPackage('a', '1', '', 'arm64'), debPackage('c', '1', '', 'all')];
    const index = (component: string, arch: string, ...debs: InventedDeb[]): [string, Buffer] => [
      `${component}/binary-${arch}/Packages`,
      Buffer.from(packagesText(debs)),
    ];
    serve([a, b, c], { indexes: new Map([index('main', 'amd64', a), index('main', 'arm64', b, c), index('more', 'all', c)]) });
    expect(await sync({ components: ['main', 'more'], architectures: ['amd64', 'arm64'] })).toMatchObject({ packages: 3 });
    expect(listed()).toEqual([a.path, b.path, c.path].toSorted());
  });

  test('reads a folder of this machine, with names that mean something in addresses', async () => {
    const one = { ...debPackage('a', '1:2+b~c'), path: './a_1%3a2+b~c #?_amd64.deb' };
    const indexes = new Map([['Packages', Buffer.from(packagesText([one]))]]);
    for (const [path, content] of archiveFiles([one], { indexes, at: '' })) {
      mkdirSync(dirname(join(store, 'source', path)), { recursive: true });
      writeFileSync(join(store, 'source', path), content);
    }
    const uri = pathToFileURL(join(store, 'source')).href;
    expect(await sync({ uri, suite: './', components: [] })).toMatchObject({ packages: 1, problems: [] });
    expect(packagesIn()).toEqual([one.path.slice(2)]);
  });

  test('apt takes packages from the folder', async () => {
    const source = join(store, 'source');
    mkdirSync(source);
    await buildDebs(source, [
      { name: 'tool', version: '1.0', release: '1' },
      { name: 'tool', version: '1.10', release: '1', epoch: 1 },
    ]);
    writeFileSync(join(source, 'Packages'), execFileSync('apt-ftparchive', ['packages', '.'], { cwd: source, stdio: 'pipe' }));
    writeFileSync(join(source, 'Release'), execFileSync('apt-ftparchive', ['release', '.'], { cwd: source }));
    expect(await sync({ uri: pathToFileURL(source).href, suite: './', components: [] })).toMatchObject({ packages: 1 });
    const apt = join(store, 'apt');
    for (const path of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, path), { recursive: true });
    writeFileSync(join(apt, 'sources.list'), `deb [trusted=yes] file:${folder()} ./\n`);
    const places = {
      'Dir::Etc::sourcelist': join(apt, 'sources.list'),
      'Dir::Etc::sourceparts': '-',
      'Dir::State::lists': join(apt, 'lists'),
      'Dir::Cache': join(apt, 'cache'),
      'APT::Sandbox::User': '',
    };
    const options = Object.entries(places).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
    const update = execFileSync('apt-get', [...options, 'update', '--error-on=any'], { cwd: apt, encoding: 'utf8', stdio: 'pipe' });
    expect(update).not.toMatch(/^[WE]:/m);
    execFileSync('apt-get', [...options, 'download', 'tool'], { cwd: apt, stdio: 'pipe' });
    const deb = readdirSync(apt).find((name) => name.endsWith('.deb')) ?? '';
    expect(execFileSync('dpkg-deb', ['--field', join(apt, deb), 'Version'], { encoding: 'utf8' })).toBe('1:1.10-1\n');
  });
});

describe('servers that do wrong', () => {
  test('what they send is never taken when it is not right', async () => {
    const one = debPackage('a', '1', '', 'amd64', 400_000);
    for (const kind of ['lie', 'longer', 'vanish'] as const) {
      serve([one]);
      for (const wrong of ['Release', 'Packages.gz', '.deb']) {
        let times = 0;
        server.fail((path) => (path.endsWith(wrong) && times++ === 0 ? { kind } : undefined));
        expect(await sync()).toMatchObject({ packages: 1, problems: [] });
        expect(times).toBeGreaterThan(1);
        expect(readFileSync(join(folder(), one.path)).equals(one.content)).toBe(true);
        rmSync(folder(), { recursive: true });
        rmSync(join(store, '.lago'), { recursive: true });
      }
    }
  });

  test('fetches the others when one package cannot be had, and says which', async () => {
    const [a, b] = [debPackage('a', '1'), debPackage('b', '1')];
    server.serve(new Map([...archiveFiles([a, b])].filter(([path]) => path !== b.path)));
    expect(await sync()).toMatchObject({ packages: 1, problems: [expect.stringContaining('b_1_amd64: ')] });
    expect(listed()).toEqual([a.path]);
    serve([a, b]);
    expect(await sync()).toMatchObject({ packages: 2, fetched: { packages: 1 }, problems: [] });
  });

  test('starts over when the archive changes while it is fetched', async () => {
    const [a1, a2] = [debPackage('a', '1'), debPackage('a', '2')];
    serve([a1]);
    const later = archiveFiles([a2]);
    server.watch((request) => {
      if (request.url?.endsWith('.gz') === true) server.serve(later);
    });
    expect(await sync()).toMatchObject({ packages: 1, problems: [] });
    expect(packagesIn()).toEqual([a2.path]);
  });

  test('resumes what an interrupted process has received', async () => {
    const one = debPackage('big', '1', '', 'amd64', 3_000_000);
    serve([one]);
    server.fail((path) => (path.endsWith('.deb') ? { kind: 'truncate', share: 0.5 } : undefined));
    const stop = new AbortController();
    let requests = 0;
    server.watch((request) => {
      if (request.url?.endsWith('.deb') === true && ++requests === 3) stop.abort();
    });
    await expect(sync({}, { signal: stop.signal })).rejects.toThrow();
    server.fail(undefined);
    const ranges: (string | undefined)[] = [];
    server.watch((request) => request.url?.endsWith('.deb') === true && ranges.push(request.headers.range));
    await sync();
    expect(readFileSync(join(folder(), one.path)).equals(one.content)).toBe(true);
    expect(ranges.every((range) => range !== undefined)).toBe(true);
  });

  describe('an archive that is older than what was seen of it', () => {
    const dated = (debs: readonly InventedDeb[], date: string): void => serve(debs, { fields: date === '' ? '' : `Date: ${date}\n` });
    const [old, now] = ['Sat, 01 Jan 2022 00:00:00 UTC', 'Sun, 02 Jan 2022 00:00:00 UTC'];
    const [a1, a2] = [debPackage('a', '1'), debPackage('a', '2')];

    test.each([old, ''])('is passed over: date %j', async (date) => {
      dated([a2], now);
      await sync();
      dated([a1], date);
      const said: string[] = [];
      const log = { ...silentLog, warn: (message: string) => void said.push(message) };
      expect(await sync({}, { log })).toMatchObject({ kept: 1, fetched: { packages: 0 }, removed: [] });
      expect(packagesIn()).toEqual([a2.path]);
      expect(said).toEqual([expect.stringMatching(/one of 2022-01-02T00:00:00.000Z was there before. The packages stay as they are.$/)]);
      dated([a1], 'Mon, 03 Jan 2022 00:00:00 UTC');
      expect(await sync()).toMatchObject({ added: ['a_1_amd64'] });
    });

    test('is refused where nothing can be kept, until that is forgotten', async () => {
      dated([a2], now);
      await sync();
      writeFileSync(join(folder(), 'Packages'), 'broken');
      dated([a1], old);
      const refused = { code: 'remote.invalid', message: expect.stringContaining('is of 2022-01-01T00:00:00.000Z, but one of 2022-01-02') };
      await expect(sync()).rejects.toMatchObject(refused);
      await expect(sync()).rejects.toMatchObject({ hint: expect.stringContaining('"lago repo clean tiny-debian12"') });
      await removeStored(store, 'tiny-debian12');
      expect(await sync()).toMatchObject({ packages: 1 });
    });

    test('is known also after packages that could not be had', async () => {
      server.serve(new Map([...archiveFiles([a2], { fields: `Date: ${now}\n` })].filter(([path]) => path !== a2.path)));
      expect(await sync()).toMatchObject({ packages: 0 });
      dated([a1], old);
      await expect(sync()).rejects.toMatchObject({ code: 'remote.invalid' });
    });
  });

  test('an archive of another name is told', async () => {
    server.serve(archiveFiles([debPackage('a', '1')], { at: 'dists/other/' }));
    const said: string[] = [];
    const log = { ...silentLog, warn: (message: string) => void said.push(message) };
    expect(await sync({ suite: 'other' }, { log })).toMatchObject({ packages: 1 });
    expect(said).toEqual(['The source tiny-debian12 asks for other, but its archive calls itself suite test, codename tester.']);
  });

  const twice = (path: string): readonly InventedDeb[] => ['a', 'b'].map((name) => ({ ...debPackage(name, '1'), path }));
  test.each<[string, ReadonlyMap<string, Buffer>, string, RegExp]>([
    ['no such source', new Map(), 'remote.invalid', /is not there/],
    ['a Release file that is none', new Map([['dists/test/Release', Buffer.from('<html>: x')]]), 'remote.hash-mismatch', /names no files/],
    ['no such component', archiveFiles([], { indexes: new Map([['x/Packages', Buffer.from('')]]) }), 'remote.invalid', /of main for amd64/],
    ['a package outside', archiveFiles([{ ...debPackage('a', '1'), path: '../../a.deb' }]), 'remote.invalid', /no package of the archive/],
    ['two packages in one file', archiveFiles(twice('pool/x.deb')), 'remote.invalid', /two packages in one file, pool\/x.deb: a and b/],
  ])('says so of %s', async (_, files, code, message) => {
    server.serve(files);
    await expect(sync()).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });
});
