import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { runChecked } from '../../core/run.ts';
import { readRepomd } from '../rpm/repomd.ts';
import { buildRpms } from './build-packages.test-support.ts';
import { type MergeResult, mergeRepos } from './merge.ts';
import { parseSource } from './source.ts';

let built = '';
let base = '';
let into = '';
/** Packages of the streams 18 and 20, a newer one of 20, and one of none. */
const [NODE_18, NODE_20, NODE_20_NEW, NODE_OWN] = ['18.1', '20.1', '20.2', '99'].map((version) => `nodejs-${version}-1.el9.noarch.rpm`) as [
  string,
  string,
  string,
  string,
];

beforeAll(async () => {
  built = mkdtempSync(join(tmpdir(), 'lago-built-'));
  await buildRpms(
    built,
    ['18.1', '20.1', '20.2', '99'].map((version) => ({ name: 'nodejs', version, release: '1.el9' })),
  );
}, 60_000);
afterAll(() => rmSync(built, { recursive: true }));
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'lago-modules-'));
  into = join(base, 'internal_repo');
});
afterEach(() => rmSync(base, { recursive: true }));

const stream = (name: string, artifacts: readonly string[]): string => `---
document: modulemd
version: 2
data:
  name: nodejs
  stream: "${name}"
  version: 1
  context: abc
  arch: noarch
  summary: a module
  description: a module
  license: {module: [MIT]}
  artifacts:
    rpms: [${artifacts.map((file) => file.replace('nodejs-', 'nodejs-0:').replace(/\.rpm$/, '')).join(', ')}]
...
`;
const DEFAULTS = '---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: nodejs\n  stream: "18"\n...\n';

/** A folder with packages, with metadata, and with modules. */
async function repository(name: string, files: readonly string[], modules?: string): Promise<string> {
  const folder = join(base, name);
  mkdirSync(folder);
  for (const file of files) linkSync(join(built, file), join(folder, file));
  await runChecked(['createrepo_c', '--quiet', folder], 'No metadata.');
  if (modules === undefined) return folder;
  const file = join(base, 'modules.yaml');
  writeFileSync(file, modules);
  await runChecked(['modifyrepo_c', '--mdtype=modules', '--compress-type=xz', file, join(folder, 'repodata')], 'No modules.');
  return folder;
}

async function merge(sources: readonly string[], distros: readonly string[] = ['el9']): Promise<MergeResult> {
  return await mergeRepos({ sources: sources.map((text) => parseSource(text, base)), into, distros }, { log: silentLog });
}

const metadataOf = (distro: string): readonly string[] =>
  readRepomd(readFileSync(join(into, distro, 'repodata/repomd.xml'), 'utf8')).files.map(({ type }) => type);

test('streams are carried over, each with its newest packages, and dnf sees and chooses them', async () => {
  const modules = stream('18', [NODE_18]) + stream('20', [NODE_20, NODE_20_NEW]) + stream('22', ['nodejs-22-1.el9.noarch.rpm']) + DEFAULTS;
  const source = await repository('modular', [NODE_18, NODE_20, NODE_20_NEW], modules);
  expect((await merge([source], ['el9', 'el8'])).problems).toEqual(['el8 has no packages: none of the sources has any for it.']);
  expect(readdirSync(join(into, 'el9/noarch')).sort()).toEqual([NODE_18, NODE_20_NEW]);
  expect(readdirSync(join(into, 'el9'))).not.toContain('modules.yaml');
  expect(metadataOf('el9')).toContain('modules');
  expect(metadataOf('el8')).not.toContain('modules');
  const dnf = async (...argv: readonly string[]): Promise<string> => {
    const root = join(base, 'root');
    const set = { cachedir: join(root, 'cache'), reposdir: '/nonexistent', module_platform_id: 'platform:el9' };
    const options = Object.entries(set).map(([key, value]) => `--setopt=${key}=${value}`);
    const repo = `--repofrompath=merged,file://${join(into, 'el9')}`;
    const { stdout } = await runChecked(
      ['dnf', '-q', `--installroot=${root}`, '--releasever=9', ...options, repo, '--nogpgcheck', ...argv],
      'dnf failed.',
    );
    return stdout;
  };
  const list = await dnf('module', 'list');
  expect(list).toMatch(/^nodejs +18 \[d\]/m);
  expect(list).toMatch(/^nodejs +20 /m);
  expect(list).not.toMatch(/^nodejs +22 /m);
  expect(await dnf('repoquery', 'nodejs')).toBe(`${basename(NODE_18, '.rpm').replace('-18', '-0:18')}\n`);
}, 60_000);

test('the next merge, without modules, has none, and keeps those of before for a guest that has just read the index', async () => {
  await merge([await repository('modular', [NODE_18], stream('18', [NODE_18]))]);
  const index = readRepomd(readFileSync(join(into, 'el9/repodata/repomd.xml'), 'utf8'));
  const old = index.files.find(({ type }) => type === 'modules')?.location ?? expect.fail('no modules');
  await merge([await repository('plain', [NODE_OWN])]);
  expect(metadataOf('el9')).not.toContain('modules');
  expect(readdirSync(join(into, 'el9/repodata'))).toContain(basename(old));
  await merge([join(base, 'plain')]);
  expect(readdirSync(join(into, 'el9/repodata'))).not.toContain(basename(old));
});

test('own packages outside of modules stand before synchronised ones that are only to fill up', async () => {
  const own = join(base, 'own');
  mkdirSync(own);
  linkSync(join(built, NODE_OWN), join(own, NODE_OWN));
  await merge([own, `${await repository('modular', [NODE_18, NODE_20], stream('18', [NODE_18]) + stream('20', [NODE_20]))}:only-missing`]);
  expect(readdirSync(join(into, 'el9/noarch'))).toEqual([NODE_OWN]);
  expect(metadataOf('el9')).not.toContain('modules');
});

test('modules that cannot be read are told, and the packages are merged', async () => {
  const source = await repository('modular', [NODE_18], 'document: modulemd\ndata: [\n');
  const { problems, repos } = await merge([source]);
  expect(problems).toEqual([
    expect.stringContaining(`A module of ${source} is left out, since its description (modules.yaml) is damaged: `) as string,
  ]);
  expect(repos).toMatchObject([{ packages: 1 }]);
  for (const name of readdirSync(join(source, 'repodata')).filter((one) => one.includes('modules'))) rmSync(join(source, 'repodata', name));
  expect((await merge([source])).problems).toEqual([expect.stringMatching(/modules\.yaml\.xz is missing\.$/) as string]);
});
