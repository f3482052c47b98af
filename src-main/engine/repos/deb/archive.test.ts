import { expect, test } from 'vitest';
import { chooseDebPackages } from './choose.ts';
import { type DebPackage, debPackageOf, relationsOf } from './package.ts';
import { nameProblem, readRelease, requireFresh, wantedIndexes } from './release.ts';
import { readStanza, readStanzas, type Stanza } from './stanzas.ts';

const HEX = 'a'.repeat(64);

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}

async function stanzas(text: string, size = 7): Promise<readonly Stanza[]> {
  const read: Stanza[] = [];
  for await (const stanza of readStanzas(inPieces(text, size), 'Packages')) read.push(stanza);
  return read;
}

test.each([1, 5, 1000])('paragraphs of a file that comes in pieces of %i bytes', async (size) => {
  const text = '\n\nPackage: a\nDescription: ž\n further\n .\n words\n# no field\nSize: 1\n\n\n\nPackage: b\n\n';
  const read = await stanzas(text, size);
  expect(read.map(({ fields }) => Object.fromEntries(fields))).toEqual([
    { package: 'a', description: 'ž\n further\n .\n words', size: '1' },
    { package: 'b' },
  ]);
  expect(read[1]?.bytes.toString()).toBe('Package: b\n');
});

test.each([' in the middle\n', 'no field\n', ': nothing\n'])('%j is no control file', async (text) => {
  await expect(stanzas(text)).rejects.toMatchObject({ code: 'remote.invalid', message: expect.stringContaining('Packages is damaged') });
});

const RELEASE = `Suite: stable
Codename: bookworm
Components: main contrib
Architectures: amd64 arm64
Valid-Until: Sat, 01 Jan 2028 00:00:00 UTC
Acquire-By-Hash: yes
MD5Sum:
 ${'c'.repeat(32)} 9 main/binary-i386/Packages
SHA256:
 ${HEX} 100 main/binary-amd64/Packages
 ${'b'.repeat(64)} 10 main/binary-amd64/Packages.xz
 ${HEX} 11 main/binary-amd64/Packages.gz
 ${HEX} 12 main/binary-all/Packages.gz
 ${HEX} 1 ../../etc/passwd
SHA512:
 ${'d'.repeat(128)} 11 main/binary-amd64/Packages.gz
`;

test('what an archive says of itself', () => {
  const release = readRelease(RELEASE, 'Release');
  expect(release).toMatchObject({
    suite: 'stable',
    codename: 'bookworm',
    components: ['main', 'contrib'],
    architectures: ['amd64', 'arm64'],
    byHash: true,
  });
  expect([...release.files.keys()]).toEqual([
    'main/binary-amd64/Packages',
    'main/binary-amd64/Packages.xz',
    'main/binary-amd64/Packages.gz',
    'main/binary-all/Packages.gz',
  ]);
  expect(release.files.get('main/binary-amd64/Packages.gz')?.checksum.algorithm).toBe('sha512');
});

test('which indexes a source wants', () => {
  const release = readRelease(RELEASE, 'Release');
  const wanted = (suite: string, components: readonly string[], of = release) =>
    wantedIndexes(of, { id: 'x', suite, components }, ['amd64', 'armhf']).map((files) => files.map(({ path }) => path));
  const ofEach = ['xz', 'gz', ''].map((end) => ['main/binary-amd64/Packages', end].join(end === '' ? '' : '.'));
  expect(wanted('bookworm', ['main'])).toEqual([ofEach, ['main/binary-all/Packages.gz']]);
  expect(wanted('bookworm', ['main'], { ...release, allInEach: true })).toEqual([ofEach]);
  expect(() => wanted('bookworm', ['main', 'contrib'])).toThrow('The source x has no packages of contrib for amd64 or armhf.');
  expect(() => wanted('./', [])).toThrow('The source x has no packages.');
  expect(wanted('./', [], readRelease(`SHA256:\n ${HEX} 9 Packages.gz\n`, 'Release'))).toEqual([['Packages.gz']]);
});

test.each([
  ['bookworm', undefined],
  ['stable', undefined],
  ['bookworm/updates', undefined],
  ['./', undefined],
  ['flat/', undefined],
  ['trixie', 'The source x asks for trixie, but its archive calls itself suite stable, codename bookworm.'],
  ['stable-updates', 'The source x asks for stable-updates, but its archive calls itself suite stable, codename bookworm.'],
])('a source that asks for %s gets bookworm: %s', (suite, expected) => {
  expect(nameProblem(readRelease(RELEASE, 'Release'), { id: 'x', suite })).toBe(expected);
});

test('an archive that is out of date, and one with weak digests only', () => {
  const release = readRelease(RELEASE, 'Release');
  const check = (checkValidUntil: boolean, now: string) => () => requireFresh(release, { checkValidUntil }, 'Release', Date.parse(now));
  expect(check(true, '2027-12-31')).not.toThrow();
  expect(check(true, '2028-01-02')).toThrow('Release was valid until 2028-01-01T00:00:00.000Z only.');
  expect(check(false, '2028-01-02')).not.toThrow();
  expect(() => readRelease(`MD5Sum:\n ${'c'.repeat(32)} 9 Packages\n`, 'Release')).toThrow(
    'Release names no files with SHA-256 or SHA-512 digests.',
  );
});

const ENTRY = `Package: a
Version: 1:2-3
Architecture: amd64
Filename: ./pool/a.deb
Size: 5
SHA256: ${HEX}
Pre-Depends: init (>= 1)
Depends: libc6 (>= 2.36), b:any | c [amd64] (<< 2), d <!nocheck>
Provides: virtual, e (= 4)
`;

const packageOf = (text: string): DebPackage => debPackageOf(readStanza(Buffer.from(text), 'Packages') as Stanza, 'Packages');

test('an entry of an index', () => {
  const read = packageOf(ENTRY);
  expect(relationsOf(read.depends)).toEqual([
    [{ name: 'init', relation: '>=', version: '1' }],
    [{ name: 'libc6', relation: '>=', version: '2.36' }],
    [{ name: 'b' }, { name: 'c' }],
    [{ name: 'd' }],
  ]);
  expect(read).toEqual({
    name: 'a',
    version: '1:2-3',
    arch: 'amd64',
    filename: 'pool/a.deb',
    size: 5,
    checksum: { algorithm: 'sha256', hex: HEX },
    depends: 'init (>= 1), libc6 (>= 2.36), b:any | c [amd64] (<< 2), d <!nocheck>',
    provides: 'virtual, e (= 4)',
  });
  expect(relationsOf(read.provides)).toEqual([[{ name: 'virtual' }], [{ name: 'e', relation: '=', version: '4' }]]);
});

test.each(['udeb', 'ddeb'])('an entry of a .%s', (end) => {
  expect(packageOf(ENTRY.replace('a.deb', `a.${end}`))).toMatchObject({ filename: `pool/a.${end}` });
});

test.each([
  ['without a digest', ENTRY.replace('SHA256', 'MD5sum'), 'is not complete'],
  ['without a size', ENTRY.replace('Size: 5\n', ''), 'is not complete'],
  ['with a path that leads out of the archive', ENTRY.replace('./pool', '../pool'), 'is no package of the archive'],
  ['with an absolute path', ENTRY.replace('./pool', '/pool'), 'is no package of the archive'],
  ['with another file', ENTRY.replace('a.deb', 'a.sh'), 'is no package of the archive'],
  ['with a name that is a path', ENTRY.replace('Package: a', 'Package: ../a'), 'is not complete'],
  ['with a version that is none', ENTRY.replace('1:2-3', '1 \u001b[2J'), 'is not complete'],
])('an entry %s is refused', (_, text, message) => {
  expect(() => packageOf(text)).toThrow(message);
});

function archive(...lines: readonly string[]): readonly DebPackage[] {
  return lines.map((line) => {
    const [name = '', version = '', depends, provides, arch = 'amd64'] = line.split(/\s*;\s*/);
    const more = `${depends ? `Depends: ${depends}\n` : ''}${provides ? `Provides: ${provides}\n` : ''}`;
    return packageOf(
      `Package: ${name}\nVersion: ${version}\nArchitecture: ${arch}\nFilename: ${name}_${version}.deb\nSize: 1\nSHA256: ${HEX}\n${more}`,
    );
  });
}

const nothing = (): boolean => false;
const names = (packages: readonly DebPackage[]): readonly string[] => packages.map(({ name, version }) => `${name} ${version}`);

test('without names: of each package the newest, but for what is left out', () => {
  const all = archive('a;1', 'a;1.10', 'a;1.9', 'b;1', 'b-doc;1');
  expect(names(chooseDebPackages(all, { packages: [], excluded: (name) => name.endsWith('-doc') }).packages)).toEqual(['a 1.10', 'b 1']);
});

test('named packages bring what they depend on, and no more', () => {
  const all = archive('a;1;b (>= 2), c | d, v', 'b;1', 'b;2;e', 'd;1', 'e;1;a', 'other;1', 'p;1;;v', 'q;1;;v');
  expect(chooseDebPackages(all, { packages: ['a'], excluded: nothing })).toMatchObject({ missing: [], unmet: [] });
  expect(names(chooseDebPackages(all, { packages: ['a'], excluded: nothing }).packages)).toEqual(['a 1', 'b 2', 'd 1', 'e 1', 'p 1']);
});

test('an alternative that is chosen already is preferred to the first', () => {
  const all = archive('a;1;mail | mta', 'mail;1', 'mta;1');
  expect(names(chooseDebPackages(all, { packages: ['mta', 'a'], excluded: nothing }).packages)).toContain('mta 1');
});

test('what the archive does not have is said', () => {
  const all = archive('a;1;b (>= 2) | x, v (>= 3)', 'b;1', 'p;1;;v', 'q;1;;v (= 2)');
  expect(chooseDebPackages(all, { packages: ['a', 'none'], excluded: nothing })).toMatchObject({
    missing: ['none'],
    unmet: ['b (>= 2) | x', 'v (>= 3)'],
  });
});

test('packages of another architecture satisfy nothing', () => {
  const all = archive('a;1;b', 'b;1;;;arm64', 'b;2;;;all');
  expect(names(chooseDebPackages(all, { packages: ['a'], excluded: nothing }).packages)).toEqual(['a 1', 'b 2']);
});
