import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RepoStoreState, StoredRepoState } from '../../../src-shared/repos/repo-store-state.ts';
import { engineSettings, loadConfig } from '../configuration/config.ts';
import { takeLock } from '../core/lock.ts';
import { silentLog } from '../core/log.ts';
import type { Operation } from '../core/operation.ts';
import { createRegistry } from '../plugins/registry.ts';
import { type RepositoryServer, startRepositoryServer } from '../repos/fetch/repository-server.test-support.ts';
import { repositoryOf, rpmPackage, rpmSection } from '../repos/rpm/repository.test-support.ts';
import { folderNamed } from '../repos/store/folder.ts';
import { syncRepo } from '../repos/sync.ts';
import type { HostAccess } from '../runtime/session.ts';
import { createRepoStore, type LiveRepoStore } from './repo-store.ts';

let folder = '';
let store = '';
let file = '';
let server: RepositoryServer;
let live: LiveRepoStore;
let published: RepoStoreState[];
let registered: Operation[];
const large = rpmPackage('large', '1', '1', 'noarch', '0', 1_000_000);
const small = rpmPackage('small', '1', '1');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago-repo-store-'));
  [store, file] = [join(folder, 'store'), join(folder, 'a.repo')];
  published = [];
  registered = [];
  server = await startRepositoryServer(repositoryOf([small]));
  writeFileSync(file, repoFile('tiny-el9'));
  const config = await loadConfig({ files: [], environment: {} });
  const settings = { ...engineSettings(config), reposyncDir: store };
  live = createRepoStore({
    context: { hosts: {} as HostAccess, settings, resourcesDir: folder, plugins: createRegistry() },
    log: silentLog,
    publish: (state) => published.push(state),
    register: (operation) => registered.push(operation),
    nameOf: (path) => path,
    idOf: () => undefined,
  });
  await live.begin();
});

afterEach(async () => {
  live[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function repoFile(...ids: readonly string[]): string {
  return ids.map((id) => `[${id}]\nbaseurl=${server.url}\nretries=1\ngpgcheck=0\n`).join('');
}

const repos = (): readonly StoredRepoState[] => published.at(-1)?.repos ?? [];
const waiting = { timeout: 20_000 };

async function syncFile(): Promise<void> {
  await live.calls.sync(undefined, { files: [file], distros: ['el9'] }).done;
}

test('publishes what a synchronisation does while it runs and once it has ended, and what removing does', async () => {
  expect(published).toMatchObject([{ store, problem: null, repos: [] }]);
  server.serve(repositoryOf([small, large]));
  server.fail((path) => (path === large.location ? { kind: 'stall', share: 0.5 } : undefined));
  const sync = live.calls.sync(undefined, { files: [file], distros: ['el9'] });
  expect(registered).toEqual([sync]);
  await expect.poll(repos, waiting).toMatchObject([{ name: 'tiny-el9', operation: sync.id, syncedAt: null, elsewhere: null }]);
  await expect.poll(() => existsSync(join(store, '.lago/tiny-el9/parts')), waiting).toBe(true);
  sync.pause();
  expect(sync.state).toMatchObject({ kind: 'sync', paused: true });
  server.fail(undefined);
  sync.resume();
  await sync.done;
  await expect.poll(repos, waiting).toMatchObject([
    {
      kind: 'rpm',
      distro: 'el9',
      packages: 2,
      size: 1_000_300,
      operation: null,
      interrupted: false,
      origin: { file, section: 'tiny-el9', missing: false },
      last: { outcome: 'complete', fetched: { packages: 2 } },
      change: { added: 2, removed: 0 },
    },
  ]);
  expect(published.at(-1)).toMatchObject({ size: 1_000_300, unused: 1_000_300 });
  expect((await live.calls.changes('tiny-el9')).change?.added.names).toEqual(['large-1-1.noarch', 'small-1-1.noarch']);
  expect(await live.calls.pathOf('tiny-el9')).toBe(join(store, 'tiny-el9'));
  await live.calls.remove(['tiny-el9']).done;
  await expect.poll(repos, waiting).toEqual([]);
});

test('synchronises again from the remembered file, and says what is wrong with it', async () => {
  await syncFile();
  server.serve(repositoryOf([small, large]));
  await live.calls.syncStored({ names: [] }).done;
  await expect.poll(repos, waiting).toMatchObject([{ packages: 2, change: { added: 1 } }]);

  const attempts: readonly [() => void, string][] = [
    [() => writeFileSync(file, `${repoFile('tiny-el9')}exclude=large*\n`), 'other servers or filters'],
    [() => writeFileSync(file, repoFile('other-el9')), 'has no section tiny-el9 any more'],
    [() => rmSync(file), 'is gone'],
  ];
  for (const [change, words] of attempts) {
    change();
    await expect(live.calls.syncStored({ names: ['tiny-el9'] }).done).rejects.toMatchObject({ message: expect.stringContaining(words) });
    await expect.poll(() => repos()[0]?.last?.error?.message, waiting).toContain(words);
    expect(repos()).toMatchObject([{ packages: 2, last: { outcome: 'failed' }, change: { added: 1 } }]);
  }
  expect(repos()[0]?.origin?.missing).toBe(true);
});

test('notices what another program synchronises, and that it was killed', async () => {
  const section = rpmSection(server.url, { file });
  await syncRepo(section, { store, log: silentLog, env: {} });
  await expect.poll(repos, waiting).toMatchObject([{ packages: 1, elsewhere: null }]);
  const { lock, lastSync } = folderNamed(store, 'tiny-el9');
  const held = await takeLock(lock, { purpose: 'repo sync' });
  await expect.poll(() => repos()[0]?.elsewhere, waiting).toContain('repo sync');
  const last = await live.calls.changes('tiny-el9');
  writeFileSync(
    lastSync,
    JSON.stringify({
      origin: { kind: 'rpm', file, section: 'tiny-el9', address: server.url, distros: [] },
      began: Date.now() + 1,
      ...last,
    }),
  );
  await held.release();
  await expect.poll(repos, waiting).toMatchObject([{ elsewhere: null, interrupted: true, last: { outcome: 'complete' } }]);
});

test('names that the store does not have are refused', async () => {
  await syncFile();
  for (const name of ['none', '..', '.', '.lago', 'tiny-el9/..']) {
    await expect(live.calls.pathOf(name)).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(live.calls.changes(name)).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(live.calls.syncStored({ names: [name] }).done).rejects.toMatchObject({ code: 'input.invalid' });
    await expect(live.calls.remove([name]).done).rejects.toMatchObject({ code: 'input.invalid' });
  }
});

test('says why the store cannot be read', async () => {
  writeFileSync(store, 'not a folder');
  await live.begin();
  expect(published.at(-1)).toMatchObject({ problem: expect.stringContaining(store), repos: [] });
});
