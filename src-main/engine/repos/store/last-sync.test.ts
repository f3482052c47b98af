import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { LastSync } from '../../../../src-shared/repos/last-sync.ts';
import { silentLog } from '../../core/log.ts';
import { type RepositoryServer, startRepositoryServer } from '../fetch/repository-server.test-support.ts';
import { repositoryOf, rpmPackage, rpmSection } from '../rpm/repository.test-support.ts';
import { type SyncOptions, syncRepo } from '../sync.ts';
import { folderNamed } from './folder.ts';
import { readLastSync } from './last-sync.ts';
import { storedRepos } from './stored.ts';

let store = '';
let server: RepositoryServer;

beforeEach(async () => {
  store = mkdtempSync(join(tmpdir(), 'lago-last-sync-'));
  server = await startRepositoryServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(store, { recursive: true });
});

const NAME = 'tiny-el9';
const [first, second] = [rpmPackage('first', '1', '1'), rpmPackage('second', '1', '1')];

async function sync(options: Partial<SyncOptions> = {}): Promise<void> {
  const section = rpmSection(server.url, { connection: { sslVerify: true, retries: 1 } });
  await syncRepo(section, { store, log: silentLog, env: {}, backOffMs: 1, variables: { distros: ['el9'] }, ...options });
}

async function last(): Promise<LastSync | undefined> {
  return await readLastSync(folderNamed(store, NAME));
}

test('says where the repository is defined and which packages came and went, also after one that found nothing new', async () => {
  server.serve(repositoryOf([first]));
  await sync();
  expect(await last()).toMatchObject({
    origin: { kind: 'rpm', file: 'test.repo', section: NAME, address: server.url, distros: ['el9'] },
    ended: { outcome: 'complete', fetched: { packages: 1, bytes: 300 }, error: null },
    change: { added: { count: 1, names: ['first-1-1.noarch'] }, removed: { count: 0 } },
  });
  server.serve(repositoryOf([second]));
  await sync();
  const { change } = (await last()) ?? {};
  expect(change).toMatchObject({ added: { names: ['second-1-1.noarch'] }, removed: { count: 1, names: ['first-1-1.noarch'] } });
  await sync();
  expect(await last()).toMatchObject({ ended: { outcome: 'complete', fetched: { packages: 0 } }, change });
});

test('keeps why it failed, and what it had brought before', async () => {
  server.serve(repositoryOf([first]));
  await sync();
  server.fail(() => ({ kind: 'status', status: 503 }));
  await expect(sync()).rejects.toMatchObject({ code: 'remote.unreachable' });
  expect(await last()).toMatchObject({
    ended: { outcome: 'failed', error: { code: 'remote.unreachable', message: expect.stringContaining('status 503') } },
    change: { added: { count: 1 } },
  });
  expect(await storedRepos(store)).toMatchObject([{ name: NAME, packages: 1, holder: null, lastSync: { ended: { outcome: 'failed' } } }]);
  server.fail(undefined);
  await sync();
  expect((await last())?.ended).toMatchObject({ outcome: 'complete', error: null });
});

test('keeps why it failed the first time, and that it was cancelled', async () => {
  await expect(sync()).rejects.toMatchObject({ code: 'remote.invalid' });
  expect(await storedRepos(store)).toMatchObject([
    { id: NAME, packages: 0, syncedAt: null, lastSync: { ended: { outcome: 'failed' }, change: null } },
  ]);
  const abort = new AbortController();
  server.serve(repositoryOf([first]));
  server.watch(() => abort.abort());
  await expect(sync({ signal: abort.signal })).rejects.toThrow();
  expect((await last())?.ended).toMatchObject({ outcome: 'cancelled', error: null });
});

test('counts packages that could not be had, and names them', async () => {
  server.serve(repositoryOf([first, second]));
  server.fail((path) => (path === second.location ? { kind: 'status', status: 403 } : undefined));
  await sync();
  expect((await last())?.ended).toMatchObject({
    outcome: 'incomplete',
    problems: { count: 1, first: [expect.stringContaining('second-1-1.noarch')] },
  });
});

test('a damaged file counts as none, and the next synchronisation writes it anew', async () => {
  server.serve(repositoryOf([first]));
  await sync();
  const { lastSync } = folderNamed(store, NAME);
  writeFileSync(lastSync, '{');
  expect(await storedRepos(store)).toMatchObject([{ packages: 1, lastSync: null }]);
  await sync();
  expect(JSON.parse(readFileSync(lastSync, 'utf8'))).toMatchObject({ origin: { section: NAME }, change: null });
});

test('what is known of records is read again only when they have changed', async () => {
  server.serve(repositoryOf([first]));
  await sync();
  const known = new Map();
  expect(await storedRepos(store, known)).toMatchObject([{ packages: 1 }]);
  expect([...known.keys()]).toEqual([folderNamed(store, NAME).record]);
  server.serve(repositoryOf([first, second]));
  await sync();
  expect(await storedRepos(store, known)).toMatchObject([{ packages: 2 }]);
});
