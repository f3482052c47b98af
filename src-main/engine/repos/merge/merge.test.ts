import {
  appendFileSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { runChecked } from '../../core/run.ts';
import { buildDebs, buildRpms } from './build-packages.test-support.ts';
import { type MergeResult, mergeRepos } from './merge.ts';
import { NotAPackage } from './package-file.ts';
import { readDebs } from './read-debs.ts';
import { readRpm } from './read-rpm.ts';
import { parseSource } from './source.ts';

let built = '';
let base = '';
let into = '';
beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'lago-built-'));
  await Promise.all([
    buildRpms(built, [
      { name: 'alpha', version: '1.9', release: '1.el9' },
      { name: 'alpha', version: '1.10', release: '1.el9' },
      { name: 'alpha', version: '1.10', release: '1.fc40' },
      { name: 'beta', version: '2.0', release: '1', epoch: 3 },
    ]),
    buildDebs(built, [
      { name: 'gamma', version: '1.0', release: '1', epoch: 2 },
      { name: 'gamma', version: '1.0~rc1', release: '1', epoch: 2 },
      { name: 'delta', version: '1.0', release: '1+deb12u1' },
    ]),
  ]);
}, 60_000);
afterAll(() => rmSync(built, { recursive: true }));
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lago-merge-'));
  into = join(base, 'internal_repo');
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(base, { recursive: true });
});

const ALPHA_OLD = 'alpha-1.9-1.el9.noarch.rpm';
const ALPHA = 'alpha-1.10-1.el9.noarch.rpm';
const ALPHA_FC = 'alpha-1.10-1.fc40.noarch.rpm';
const BETA = 'beta-2.0-1.noarch.rpm';
const GAMMA = 'gamma_2%3a1.0-1_all.deb';
const GAMMA_OLD = 'gamma_2%3a1.0~rc1-1_all.deb';
const DELTA = 'delta_1.0-1+deb12u1_all.deb';

/** A folder with links to some of the packages. */
function source(name: string, files: readonly string[]): string {
  const folder = join(base, name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) linkSync(join(built, file), join(folder, file));
  return folder;
}

async function merge(sources: readonly string[], distros: readonly string[] = ['el9']): Promise<MergeResult> {
  return await mergeRepos({ sources: sources.map((text) => parseSource(text, base)), into, distros }, { log: silentLog });
}

/** The packages that a distribution has as files, and those that its metadata names. */
function packagesOf(distro: string): readonly string[] {
  const folder = join(into, distro);
  return (readdirSync(folder, { recursive: true }) as string[])
    .filter((path) => /\.(rpm|deb)$/.test(path))
    .map((path) => basename(path))
    .sort();
}

function primaryOf(distro: string): string {
  const folder = join(into, distro, 'repodata');
  const [, href = ''] = /<location href="repodata\/([^"]*-primary\.xml\.gz)"/.exec(readFileSync(join(folder, 'repomd.xml'), 'utf8')) ?? [];
  return gunzipSync(readFileSync(join(folder, href))).toString();
}

const namedIn = (distro: string): readonly string[] =>
  [...primaryOf(distro).matchAll(/<location href="(?:[^"]*\/)?([^"/]*)"/g)].map(([, name = '']) => name).sort();

describe('reading', () => {
  test('rpm packages are read as rpm reads them', async () => {
    for (const file of [ALPHA, BETA]) {
      const path = join(built, file);
      const format = '%{NAME} %|EPOCH?{%{EPOCH}}:{0}| %{VERSION} %{RELEASE} %{ARCH}';
      const { stdout } = await runChecked(['rpm', '-qp', '--qf', format, path], 'rpm');
      const { name, version, arch } = (await readRpm(path)) ?? expect.fail('a source package');
      expect(`${name} ${version.epoch} ${version.version} ${version.release} ${arch}`).toBe(stdout);
    }
  });

  test('Debian packages of all compressions are read at once, each with epoch, version and revision', async () => {
    const folder = join(base, 'more');
    mkdirSync(folder);
    const more: string[] = [];
    for (const compression of ['none', 'gzip', 'xz', 'zstd'] as const)
      more.push(...(await buildDebs(folder, [{ name: `with-${compression}`, version: '2', release: '', compression }])));
    writeFileSync(join(folder, 'text.deb'), 'no package');
    const scratch = join(base, 'scratch');
    const read = await readDebs([join(built, GAMMA), join(folder, 'text.deb'), ...more], scratch, undefined);
    expect(read[0]).toMatchObject({ name: 'gamma', version: { epoch: '2', version: '1.0', release: '1' }, arch: 'all' });
    expect(read[1]).toBeInstanceOf(NotAPackage);
    expect(read.slice(2).map((one) => ('name' in one ? one.name : one))).toEqual(['with-none', 'with-gzip', 'with-xz', 'with-zstd']);
    expect(existsSync(scratch)).toBe(false);
  });

  test('a package that is cut off or something else is left out and told', async () => {
    const folder = source('a', [BETA]);
    const whole = readFileSync(join(built, ALPHA));
    for (const length of [0, 50, 100, 300, 2000]) writeFileSync(join(folder, `cut-${length}.rpm`), whole.subarray(0, length));
    writeFileSync(join(folder, 'text.rpm'), 'x'.repeat(5000));
    writeFileSync(join(folder, 'text.deb'), 'x'.repeat(5000));
    const huge = Buffer.from(whole);
    huge.writeUInt32BE(0xffffffff, 104);
    writeFileSync(join(folder, 'huge.rpm'), huge);
    const { problems } = await merge([folder]);
    expect(namedIn('el9')).toEqual([BETA]);
    expect(problems).toHaveLength(8);
    expect(problems).toContain(`${join(folder, 'text.rpm')} is left out: it does not begin like an rpm package.`);
    expect(problems).toContain(`${join(folder, 'cut-50.rpm')} is left out: it is cut off.`);
  });
});

describe('choosing', () => {
  test('the newest wins, whatever its place', async () => {
    const result = await merge([source('new', [ALPHA]), source('old', [ALPHA_OLD, BETA])]);
    expect(packagesOf('el9')).toEqual([ALPHA, BETA]);
    expect(namedIn('el9')).toEqual([ALPHA, BETA]);
    expect(result).toMatchObject({ repos: [{ distro: 'el9', packages: 2 }], older: 1, conflicts: [], problems: [], copied: 0 });
  });

  test('a pinned source wins', async () => {
    await merge([source('new', [ALPHA]), `${source('old', [ALPHA_OLD])}:pinned`]);
    expect(packagesOf('el9')).toEqual([ALPHA_OLD]);
  });

  test('only-missing adds only names that are not there yet', async () => {
    await merge([source('old', [ALPHA_OLD]), `${source('new', [ALPHA, BETA])}:only-missing`]);
    expect(packagesOf('el9')).toEqual([ALPHA_OLD, BETA]);
  });

  test('packages go to the distribution that they were built for, others to all of their kind', async () => {
    const folder = source('all', [ALPHA, ALPHA_FC, BETA, GAMMA, GAMMA_OLD, DELTA]);
    const { problems } = await merge([folder], ['el9', 'fc40', 'debian12', 'debian13']);
    expect(problems).toEqual([]);
    expect(packagesOf('el9')).toEqual([ALPHA, BETA]);
    expect(packagesOf('fc40')).toEqual([ALPHA_FC, BETA]);
    expect(packagesOf('debian12')).toEqual([DELTA, GAMMA]);
    expect(packagesOf('debian13')).toEqual([GAMMA]);
    expect((await merge([folder], ['el8'])).problems).toEqual(
      expect.arrayContaining(['1 for fc40 left out: el8 is wanted.', '1 for el9 left out: el8 is wanted.']) as string[],
    );
  });

  test('two files that say they are the same package are a conflict, a copy is none', async () => {
    const [first, second] = [source('first', [BETA]), join(base, 'second')];
    mkdirSync(second);
    copyFileSync(join(built, BETA), join(second, 'copy.rpm'));
    expect((await merge([first, second])).conflicts).toEqual([]);
    appendFileSync(join(second, 'copy.rpm'), 'more');
    expect((await merge([first, second])).conflicts).toEqual([
      { name: 'beta-3:2.0-1.noarch', kept: join(first, BETA), leftOut: join(second, 'copy.rpm') },
    ]);
    expect(statSync(join(into, 'el9/noarch', BETA)).ino).toBe(statSync(join(built, BETA)).ino);
  });
});

describe('nothing usable', () => {
  test('is an error that says what was looked at, and leaves what was merged before', async () => {
    await merge([source('a', [BETA])]);
    const other = source('other', [ALPHA_FC]);
    writeFileSync(join(other, 'text.rpm'), 'x'.repeat(200));
    mkdirSync(join(base, 'empty'));
    const failed = merge([other, 'empty', `${base}/none*`]);
    await expect(failed).rejects.toMatchObject({ code: 'input.missing-file', hint: expect.stringContaining('--distro') as string });
    await expect(failed).rejects.toThrow(
      [
        'No source has a package for el9:',
        `${other} has 1 package, for fc40.`,
        `${join(other, 'text.rpm')} is left out: it does not begin like an rpm package.`,
        'empty has no packages.',
        `${base}/none* has no packages.`,
      ].join('\n  '),
    );
    expect(packagesOf('el9')).toEqual([BETA]);
    expect(namedIn('el9')).toEqual([BETA]);
    expect(readdirSync(join(into, '.merged')).filter((name) => name.startsWith('el9.'))).toHaveLength(1);
  });

  test('packages of another kind are not counted for a distribution', async () => {
    await expect(merge([source('a', [GAMMA])])).rejects.toThrow(/has 1 package, for distributions with deb\./);
  });

  test('one source or distribution without packages among others is a warning', async () => {
    mkdirSync(join(base, 'empty'));
    writeFileSync(join(base, 'empty/text.deb'), 'no package');
    const { problems, repos } = await merge([source('a', [BETA]), 'empty'], ['el9', 'debian12']);
    expect(problems).toContain('empty has no packages, only 1 file that is no package.');
    expect(problems).toContain('debian12 has no packages: none of the sources has any for it.');
    expect(repos.map(({ distro, packages }) => `${distro} ${packages}`)).toEqual(['el9 1', 'debian12 0']);
    expect(readFileSync(join(into, 'debian12/Packages'), 'utf8')).toBe('');
    expect(existsSync(join(into, 'debian12/repodata'))).toBe(false);
  });

  test.each([
    ['rpm', 'createrepo_c', /createrepo-c on Debian.*createrepo_c on Fedora/],
    ['deb', 'apt-ftparchive', /apt-utils, on Debian/],
  ])('without the program for %s, an error says what to install', async (kind, program, hint) => {
    const bin = join(base, 'bin');
    mkdirSync(bin);
    for (const tool of ['sh', 'flock', 'cat', 'createrepo_c', 'apt-ftparchive'].filter((name) => name !== program))
      symlinkSync((await runChecked(['which', tool], 'which')).stdout.trim(), join(bin, tool));
    vi.stubEnv('PATH', bin);
    const failed = kind === 'rpm' ? merge([source('a', [BETA])]) : merge([source('a', [GAMMA])], ['debian12']);
    await expect(failed).rejects.toMatchObject({ code: 'host.missing-tool', hint: expect.stringMatching(hint) as string });
  });
});

describe('sources', () => {
  test('files, globs and folders', async () => {
    const folder = source('a/deep/er', [ALPHA]);
    source('b', [BETA]);
    symlinkSync(join(base, 'a'), join(base, 'a/loop'));
    writeFileSync(join(base, 'b/.hidden.rpm'), '');
    await merge([join(folder, ALPHA), `${base}/[ab]*/*.rpm`]);
    expect(packagesOf('el9')).toEqual([ALPHA, BETA]);
    await merge(['a']);
    expect(packagesOf('el9')).toEqual([ALPHA]);
    await expect(merge(['missing'])).rejects.toMatchObject({ code: 'input.missing-file' });
    expect((await merge([`${base}/nothing*`, 'b'])).problems).toEqual([`${base}/nothing* has no packages.`]);
  });

  test('addresses of packages and of pages that list them', async () => {
    const server = createServer((request, response) => {
      const name = basename(request.url ?? '');
      if (request.url === '/repo/')
        response.end(`<a href="${ALPHA}">x</a> <a href='../repo/${BETA}'>y</a> <a href="http://else.example/z.rpm">z</a>`);
      else if (existsSync(join(built, name))) response.end(readFileSync(join(built, name)));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      await merge([`${url}/repo/`]);
      expect(packagesOf('el9')).toEqual([ALPHA, BETA]);
      await merge([`${url}/${ALPHA_OLD}`]);
      expect(packagesOf('el9')).toEqual([ALPHA_OLD]);
      await expect(merge([`${url}/missing.rpm`])).rejects.toMatchObject({ code: 'input.missing-file' });
    } finally {
      server.close();
    }
  });

  test.each(['koji:12', 'copr:me/it', '', ':only-missing', 'conf:list'])('%j is refused', (text) => {
    expect(() => parseSource(text, '/')).toThrow(expect.objectContaining({ code: 'input.invalid' }) as Error);
  });
});

describe('the repository', () => {
  test('is replaced at once, and keeps the metadata that a guest may just have read about', async () => {
    const folder = source('a', [ALPHA_OLD]);
    await merge([folder]);
    const md = (): readonly string[] => readdirSync(join(into, 'el9/repodata')).filter((name) => name !== 'repomd.xml');
    const [first, firstPlace] = [md(), realpathSync(join(into, 'el9'))];
    linkSync(join(built, ALPHA), join(folder, ALPHA));
    await merge([folder]);
    expect(namedIn('el9')).toEqual([ALPHA]);
    expect(md()).toEqual(expect.arrayContaining([...first]));
    expect(existsSync(firstPlace)).toBe(false);
    rmSync(join(folder, ALPHA));
    await merge([source('b', [BETA])]);
    expect(md().filter((name) => first.includes(name))).toEqual([]);
    expect(readdirSync(join(into, '.merged')).filter((name) => name.startsWith('el9.'))).toHaveLength(1);
  });

  test('a package that was built anew under the same name is read anew', async () => {
    const folder = join(base, 'a');
    mkdirSync(folder);
    const build = async (content: string): Promise<string> => {
      await buildRpms(folder, [{ name: 'own', version: '1', release: '1', content }]);
      await merge([folder]);
      return /<checksum type="sha256"[^>]*>(\w+)/.exec(primaryOf('el9'))?.[1] ?? '';
    };
    expect(await build('one')).not.toBe(await build('another one'));
  });

  test('one as Lago left it is replaced too', async () => {
    mkdirSync(join(into, 'el9/x86_64'), { recursive: true });
    writeFileSync(join(into, 'el9/x86_64/old.rpm'), '');
    await merge([source('a', [BETA])]);
    expect(packagesOf('el9')).toEqual([BETA]);
    expect(readdirSync(into).sort()).toEqual(['.merged', 'el9']);
  });

  test('what a link of the user leads to is left alone', async () => {
    const own = source('own', [ALPHA]);
    mkdirSync(into);
    symlinkSync(own, join(into, 'el9'));
    await merge([source('a', [BETA])]);
    expect(packagesOf('el9')).toEqual([BETA]);
    expect(readdirSync(own)).toEqual([ALPHA]);
  });

  test('a merge that fails or was killed changes nothing and leaves nothing', async () => {
    await merge([source('a', [BETA])]);
    mkdirSync(join(into, '.merged/el9.0badcafe/noarch'), { recursive: true });
    const stop = new AbortController();
    stop.abort();
    const sources = [parseSource(source('b', [ALPHA]), base)];
    await expect(mergeRepos({ sources, into, distros: ['el9'] }, { log: silentLog, signal: stop.signal })).rejects.toThrow();
    expect(packagesOf('el9')).toEqual([BETA]);
    await merge([join(base, 'b')]);
    expect(packagesOf('el9')).toEqual([ALPHA]);
    expect(existsSync(join(into, '.merged/el9.0badcafe'))).toBe(false);
  });

  test('names that lead elsewhere are refused', async () => {
    await expect(merge([source('a', [BETA])], ['../x'])).rejects.toMatchObject({ code: 'input.invalid' });
  });

  test('apt understands the index of Debian packages, and finds it by its hash', async () => {
    await merge([source('a', [GAMMA, GAMMA_OLD])], ['debian12']);
    const folder = join(into, 'debian12');
    const index = readFileSync(join(folder, 'Packages'), 'utf8');
    expect(index).toMatch(/^Package: gamma\n/);
    expect(index).toContain(`Filename: ./all/${GAMMA}`);
    expect(gunzipSync(readFileSync(join(folder, 'Packages.gz'))).toString()).toBe(index);
    const release = readFileSync(join(folder, 'Release'), 'utf8');
    expect(release).toContain('Acquire-By-Hash: yes');
    const [, hash = ''] = /SHA256:\n(?: .*\n)*? ([0-9a-f]{64}) +\d+ Packages\n/.exec(release) ?? [];
    expect(readFileSync(join(folder, 'by-hash/SHA256', hash), 'utf8')).toBe(index);
    await merge([source('b', [GAMMA_OLD])], ['debian12']);
    expect(readFileSync(join(folder, 'by-hash/SHA256', hash), 'utf8')).toBe(index);
  });
});
