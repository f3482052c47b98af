import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import type { RpmSection } from '../../repos/definition/section.ts';
import { type RepositoryServer, startRepositoryServer } from '../../repos/fetch/repository-server.test-support.ts';
import { repositoryOf, rpmPackage, rpmSection } from '../../repos/rpm/repository.test-support.ts';
import { removeStored, type StoredRepo } from '../../repos/store/stored.ts';
import { type SyncOptions, syncRepo } from '../../repos/sync.ts';
import { cleanStoredRepos, listStoredRepos } from './store.ts';

const NAME = 'tiny-el9';
const PACKAGES = ['a', 'b', 'c'].map((name) => rpmPackage(name, '1', '1'));

let dir: string;
let store: string;
let server: RepositoryServer;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-store-'));
  store = join(dir, 'store');
  server = await startRepositoryServer(repositoryOf(PACKAGES));
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true });
});

async function sync(options: Partial<SyncOptions> = {}, more: Partial<RpmSection> = {}) {
  return await syncRepo(rpmSection(server.url, more), { store, log: silentLog, env: {}, backOffMs: 1, ...options });
}

/** The mark of an environment in a folder of this name. */
function environment(name: string): { readonly uuidFile: string; readonly uuid: string } {
  const uuidFile = join(dir, name, 'uuid');
  mkdirSync(join(dir, name));
  writeFileSync(uuidFile, `of ${name}`);
  return { uuidFile, uuid: `of ${name}` };
}

async function clean(...names: readonly string[]): Promise<readonly string[]> {
  return namesOf(await cleanStoredRepos({ reposyncDir: store }, { names, dryRun: false }));
}

async function users(): Promise<readonly (readonly string[])[]> {
  return (await listStoredRepos({ reposyncDir: store })).map((one) => one.users);
}

const namesOf = (stored: readonly StoredRepo[]): readonly string[] => stored.map(({ name }) => name);
const isThere = (): boolean => PACKAGES.every(({ location }) => existsSync(join(store, NAME, location)));

describe('a repository of the store', () => {
  test('stays while one of the environments that use it exists', async () => {
    const [one, two] = [environment('one'), environment('two')];
    await sync({ user: one });
    await sync({ user: two });
    await sync();
    expect(await users()).toEqual([[join(dir, 'one'), join(dir, 'two')]]);
    expect(await clean()).toEqual([]);
    rmSync(join(dir, 'one'), { recursive: true });
    await expect(clean(NAME)).rejects.toMatchObject({ code: 'conflict.locked', message: expect.stringContaining(join(dir, 'two')) });
    expect(isThere()).toBe(true);
    // Another environment of the same name does not use it.
    writeFileSync(two.uuidFile, 'another');
    expect(await users()).toEqual([[]]);
    expect(await clean()).toEqual([NAME]);
    expect(readdirSync(store, { recursive: true })).toEqual(['.lago']);
  });

  test('knows an environment that was moved again once that has synchronised', async () => {
    const { uuid } = environment('before');
    await sync({ user: { uuidFile: join(dir, 'before/uuid'), uuid } });
    renameSync(join(dir, 'before'), join(dir, 'after'));
    expect(await users()).toEqual([[]]);
    await sync({ user: { uuidFile: join(dir, 'after/uuid'), uuid } });
    expect(await users()).toEqual([[join(dir, 'after')]]);
    expect(await clean()).toEqual([]);
  });

  test('repairs a damaged record of its users', async () => {
    const user = environment('one');
    await sync({ user });
    for (const text of ['', '{"users": {"a', '{"users": {"a": 1}}']) {
      writeFileSync(join(store, '.lago', NAME, 'users.json'), text);
      expect(await users()).toEqual([[]]);
      await sync({ user });
      expect(await users()).toEqual([[join(dir, 'one')]]);
    }
  });

  test('is found again by each of two definitions when a record is damaged or gone', async () => {
    await sync();
    const { path } = await sync({}, { excludes: ['b'] });
    writeFileSync(join(store, '.lago', NAME, 'record.json'), '{');
    server.requests.length = 0;
    expect(await sync({}, { excludes: ['b'] })).toMatchObject({ path, packages: 2, kept: 2 });
    expect(await sync()).toMatchObject({ path: join(store, NAME), packages: 3, kept: 3 });
    expect(server.requests.filter((one) => one.endsWith('.rpm'))).toEqual([]);
    await clean(NAME);
    expect(await sync({}, { excludes: ['b'] })).toMatchObject({ path, kept: 2 });
  });

  test('is not taken away while it is synchronised', async () => {
    const other = await sync({}, { id: 'other' });
    const tries: unknown[] = [];
    server.watch(async (request) => {
      if (request.url?.endsWith('.rpm') === true) tries.push(await clean(NAME).catch((error: unknown) => error));
      if (request.url?.endsWith('repomd.xml') === true) tries.push(await clean());
    });
    expect(await sync()).toMatchObject({ packages: 3, problems: [] });
    const [all, ...named] = tries;
    expect(all).toEqual(['other']);
    expect(existsSync(other.path)).toBe(false);
    expect(named).toHaveLength(3);
    for (const one of named) expect(one).toMatchObject({ code: 'conflict.locked', message: expect.stringContaining('repo sync') });
    expect(isThere()).toBe(true);
  });

  test('is whole after whatever order of a synchronisation and a removal', async () => {
    for (let round = 0; round < 20; round++) {
      await sync();
      const removal = removeStored(store, NAME).catch((error: { code: string }) => error.code);
      const [removed, result] = await Promise.all([removal, sync()]);
      if (typeof removed === 'string') expect(removed).toBe('conflict.locked');
      expect(result).toMatchObject({ packages: 3, problems: [] });
      expect(isThere()).toBe(true);
      expect(await sync()).toMatchObject({ kept: 3 });
    }
  });

  const path = (...parts: readonly string[]): string => join(store, ...parts);
  const lose = (...paths: readonly string[]): void => {
    for (const one of paths) rmSync(one, { recursive: true });
  };
  test.each<[string, () => void]>([
    ['some packages were', () => lose(path(NAME, PACKAGES[0]?.location ?? ''))],
    ['all packages were', () => lose(path(NAME))],
    ['its record was', () => lose(path(NAME), path('.lago', NAME, 'record.json'))],
    ['its lock was', () => lose(path('.lago', NAME, 'lock'), path('.lago', NAME, 'record.json'))],
  ])('can be removed, or synchronised, after a removal that was killed when %s gone', async (_, kill) => {
    await sync();
    kill();
    expect(namesOf(await listStoredRepos({ reposyncDir: store }))).toEqual([NAME]);
    expect(await sync()).toMatchObject({ packages: 3, problems: [] });
    expect(isThere()).toBe(true);
    kill();
    expect(await clean()).toEqual([NAME]);
    expect(readdirSync(store, { recursive: true })).toEqual(['.lago']);
  });
});

test('only what the store has can be removed by name', async () => {
  await sync();
  for (const name of ['none', '../..', '.lago']) await expect(clean(name)).rejects.toMatchObject({ code: 'input.invalid' });
  expect(isThere()).toBe(true);
});
