import { copyFile, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { MergedPackages } from '../../../../src-shared/repos/merged-packages.ts';
import { silentLog } from '../../core/log.ts';
import { startOperation } from '../../core/operation.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { readPrefix } from '../../prefix/prefix.ts';
import { buildDebs, buildRpms } from '../../repos/merge/build-packages.test-support.ts';
import { packagesState } from '../../runtime/packages/state.ts';
import { createWorld, type World, writePrefix } from '../world.test-support.ts';
import { mergePackages } from './merge.ts';
import type { MergePackagesRequest } from './merge-request.ts';
import { mergedPackages } from './merged.ts';

let built: string;
let folder: string;
let root: string;
let world: World;

beforeAll(async () => {
  built = await mkdtemp(join(tmpdir(), 'lago-built-'));
  for (const name of ['new', 'old']) await mkdir(join(built, name));
  await Promise.all([
    buildRpms(join(built, 'new'), [{ name: 'alpha', version: '2.0', release: '1.el9', epoch: 1 }]),
    buildRpms(join(built, 'old'), [
      { name: 'alpha', version: '1.0', release: '1.el9', epoch: 1 },
      { name: 'beta', version: '3.1', release: '2' },
    ]),
    buildDebs(join(built, 'new'), [{ name: 'gamma', version: '1.0', release: '', epoch: 2 }]),
  ]);
}, 60_000);
afterAll(async () => await rm(built, { recursive: true }));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-merged-'));
  root = join(folder, 'demo');
  await writePrefix(root);
  world = createWorld();
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

async function merge(request: Partial<MergePackagesRequest>): Promise<void> {
  const wanted = { sources: [], folder: built, distros: ['el9'], ...request };
  await startOperation({ kind: 'merge', label: 'test' }, async (step) => void (await mergePackages(world.context, root, wanted, step)))
    .done;
}
const merged = async (): Promise<MergedPackages> => await mergedPackages(world.context, root, new AbortController().signal);
const mergedAt = async (): Promise<number | null | undefined> => (await packagesState(await readPrefix(root), undefined))?.mergedAt;

test('there is nothing before the first merge, but where it will be served', async () => {
  expect(await merged()).toEqual({
    ...{ reports: [], repos: [], declared: null, clients: [], problem: null },
    url: 'http://192.168.200.1:8585/',
  });
  expect(await mergedAt()).toBeUndefined();
});

test('packages are listed with their sources, and the merge with what it left out', async () => {
  await merge({ sources: ['new', 'old:only-missing'], distros: ['el9', 'debian12'] });
  const { reports, repos, clients } = await merged();
  const [fresh, old] = [join(built, 'new'), join(built, 'old:only-missing')];
  expect(repos).toMatchObject([
    { folder: 'debian12', packages: [{ name: 'gamma', version: '2:1.0', arch: 'all', source: fresh }] },
    {
      folder: 'el9',
      packages: [
        { name: 'alpha', version: '1:2.0-1.el9', arch: 'noarch', source: fresh },
        { name: 'beta', version: '3.1-2', source: old },
      ],
    },
  ]);
  expect(reports).toMatchObject([
    { name: null, sources: [{ text: fresh, synced: false }, { text: old }], conflicts: [], known: 1, older: 0 },
  ]);
  expect(clients.map(({ distro, kind }) => `${distro} ${kind}`)).toEqual(['debian12 deb', 'el9 rpm']);
  expect(await mergedAt()).toBeGreaterThan(0);
});

test('one into a folder of its own is listed beside the others', async () => {
  await merge({ sources: ['new'] });
  await merge({ sources: ['old'], name: 'suite' });
  const { reports, repos } = await merged();
  expect(reports.map(({ name, older }) => [name, older])).toEqual([
    ['suite', 0],
    [null, 0],
  ]);
  expect(repos.map(({ folder: path, packages }) => [path, packages.map(({ name }) => name)])).toEqual([
    ['el9', ['alpha']],
    ['suite/el9', ['alpha', 'beta']],
  ]);
});

test('what no record is about is read from the folder: a merge that was killed before it could tell, or one of Lago', async () => {
  const paths = prefixPaths(root);
  await merge({ sources: ['old'] });
  const record = paths.mergeRecord(null);
  await copyFile(record, join(folder, 'record'));
  await merge({ sources: ['new'] });
  await rename(join(folder, 'record'), record);
  const lago = join(paths.internalRepo, 'el7');
  await mkdir(join(lago, 'repodata'), { recursive: true });
  await writeFile(join(lago, 'repodata/repomd.xml'), '<repomd/>');
  await writeFile(join(lago, 'some-package-4.20.1-1.el7.x86_64.rpm'), '12345');
  expect((await merged()).repos).toMatchObject([
    { folder: 'el7', at: null, packages: [{ name: 'some-package', version: '4.20.1-1.el7', arch: 'x86_64', size: 5, source: null }] },
    // The file's name does not have the epoch.
    { folder: 'el9', at: null, packages: [{ name: 'alpha', version: '2.0-1.el9', arch: 'noarch', source: null }] },
  ]);
});

test('a network without a gateway serves nothing, which is said', async () => {
  const prefix = await readPrefix(root);
  const { hosts } = world.context;
  await hosts.open(prefix, silentLog, new AbortController().signal);
  await rm(join(root, 'virt/net-net0'));
  await writeFile(join(root, 'virt/net-net0'), JSON.stringify({ name: 'net0', type: 'bridge', management: true }));
  const { url, problem } = await merged();
  expect(url).toBeNull();
  expect(problem).toContain('has no gateway');
});
