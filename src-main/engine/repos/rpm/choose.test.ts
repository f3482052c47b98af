import { describe, expect, test } from 'vitest';
import { type Choice, choosePackages } from './choose.ts';
import { readModules } from './modules.ts';
import { nevraOf, type RpmPackage } from './package.ts';
import { rpmPackage } from './repository.test-support.ts';

const all: Choice = { excludes: [], includes: [], modules: [], moduleHotfixes: false };
const shown = (packages: readonly RpmPackage[]): readonly string[] => packages.map(nevraOf).toSorted();

describe('choosePackages', () => {
  test('keeps the newest of each name and architecture, without source packages', () => {
    const packages = [
      rpmPackage('a', '1.0', '1'),
      rpmPackage('a', '1.10', '1'),
      rpmPackage('a', '1.9', '1'),
      rpmPackage('a', '1.9', '1', 'i686'),
      rpmPackage('b', '1', '1', 'noarch', '1'),
      rpmPackage('b', '2', '1'),
      rpmPackage('c', '1', '1', 'src'),
      rpmPackage('d', '1', '1', 'nosrc'),
    ];
    expect(shown(choosePackages(packages, all))).toEqual(['a-0:1.10-1.noarch', 'a-0:1.9-1.i686', 'b-1:1-1.noarch']);
  });

  test('leaves out what is excluded before it looks for the newest', () => {
    const packages = [rpmPackage('a', '1', '1'), rpmPackage('a', '2', '1'), rpmPackage('b', '1', '1'), rpmPackage('c', '1', '1')];
    expect(shown(choosePackages(packages, { ...all, excludes: ['a-2*', 'b'] }))).toEqual(['a-0:1-1.noarch', 'c-0:1-1.noarch']);
    expect(shown(choosePackages(packages, { ...all, includes: ['a', 'b'], excludes: ['b'] }))).toEqual(['a-0:2-1.noarch']);
    expect(choosePackages(packages, { ...all, includes: ['nothing'] })).toEqual([]);
  });

  test('keeps of each stream its newest version, and the version with the newest package', () => {
    const packages = ['1', '2', '3'].flatMap((version) => [rpmPackage('perl', version, '1'), rpmPackage('perl-libs', version, '1')]);
    const plain = rpmPackage('perl', '0.9', '1');
    const modules = [
      { stream: 'perl:1', version: 1n, artifacts: ['perl-0:1-1.noarch', 'perl-libs-0:1-1.noarch'] },
      { stream: 'perl:1', version: 2n, artifacts: ['perl-0:2-1.noarch', 'perl-libs-0:1-1.noarch'] },
      { stream: 'perl:3', version: 1n, artifacts: ['perl-0:3-1.noarch', 'perl-libs-0:3-1.noarch'] },
    ];
    expect(shown(choosePackages([...packages, plain], { ...all, modules }))).toEqual([
      'perl-0:0.9-1.noarch',
      'perl-0:2-1.noarch',
      'perl-0:3-1.noarch',
      'perl-libs-0:1-1.noarch',
      // Of no module, so its newest counts by itself.
      'perl-libs-0:2-1.noarch',
      'perl-libs-0:3-1.noarch',
    ]);
    expect(shown(choosePackages([...packages, plain], { ...all, modules, moduleHotfixes: true }))).toEqual([
      'perl-0:3-1.noarch',
      'perl-libs-0:3-1.noarch',
    ]);
  });

  test('keeps an older version of a stream that has the newest package', () => {
    const packages = [rpmPackage('m', '9', '1'), rpmPackage('m', '1', '1'), rpmPackage('m-doc', '1', '1')];
    const modules = [
      { stream: 'm:1', version: 5n, artifacts: ['m-0:9-1.noarch', 'm-doc-0:1-1.noarch'] },
      { stream: 'm:1', version: 6n, artifacts: ['m-0:1-1.noarch'] },
    ];
    expect(choosePackages(packages, { ...all, modules })).toHaveLength(3);
  });
});

describe('readModules', () => {
  const yaml = `---
document: modulemd-defaults
version: 1
data:
  module: perl
...
---
document: modulemd
version: 2
data:
  name: perl
  stream: 5.30
  version: 8040020200923212735
  context: 466ea64f
  artifacts:
    rpms:
    - perl-4:5.30.1-452.x86_64
    - perl-libs-4:5.30.1-452.x86_64
...
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "18"
  version: 1
`;
  async function* chunks(text: string, size: number): AsyncGenerator<Buffer> {
    for (let at = 0; at < text.length; at += size) yield await Promise.resolve(Buffer.from(text.slice(at, at + size)));
  }

  test.each([7, 100, 100_000])('reads streams and artifacts in pieces of %i bytes; long versions keep all digits', async (size) => {
    expect(await readModules(chunks(yaml, size), (why) => expect.unreachable(why))).toEqual([
      { stream: 'perl:5.30', version: 8040020200923212735n, artifacts: ['perl-4:5.30.1-452.x86_64', 'perl-libs-4:5.30.1-452.x86_64'] },
      { stream: 'nodejs:18', version: 1n, artifacts: [] },
    ]);
  });

  const bomb = Array.from(
    { length: 9 },
    (_, at) => `  a${at}: &a${at} [${Array.from({ length: 9 }, () => (at === 0 ? 'x' : `*a${at - 1}`)).join(', ')}]`,
  );
  test.each([
    ['is no YAML', 'document: modulemd\ndata: [\n', /^Flow sequence/],
    ['ends within a value', 'document: modulemd\ndata:\n  name: "perl\n', /^Missing closing/],
    ['grows without end', `document: modulemd\ndata:\n${bomb.join('\n')}\n`, /^Excessive alias count/],
    [
      'is too long',
      `document: modulemd\ndata:\n  name: ${'x'.repeat(5_000_000)}\n  stream: ${'y'.repeat(5_000_000)}\n  more: 1\n`,
      /^it has more than/,
    ],
  ])('passes over a document that %s, and says so', async (_, broken, why) => {
    const said: string[] = [];
    const found = await readModules(chunks(`---\n${broken}...\n${yaml}`, 100_000), (one) => void said.push(one));
    expect(said).toEqual([expect.stringMatching(why)]);
    expect(found.map(({ stream }) => stream)).toEqual(['perl:5.30', 'nodejs:18']);
  });
});
