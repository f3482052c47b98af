import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { LibraryState } from '../../src-shared/state.ts';
import { engineSettings, loadConfig } from './configuration/config.ts';
import type { EngineSettings } from './configuration/settings.ts';
import { type MisbehavingServer, startMisbehavingServer } from './core/download/misbehaving-server.test-support.ts';
import { createLog } from './core/log.ts';
import type { Operation } from './core/operation.ts';
import { createLibrary, type LiveLibrary } from './library.ts';
import { createRegistry } from './plugins/registry.ts';
import type { HostAccess } from './runtime/session.ts';

const MIB = 1024 * 1024;
let folder: string;
let server: MisbehavingServer;
let library: LiveLibrary;
let published: LibraryState[];
let registered: Operation[];

async function settings(change: Partial<EngineSettings>): Promise<EngineSettings> {
  const config = await loadConfig({ files: [], environment: {} });
  return { ...engineSettings(config), templateStore: join(folder, 'store'), templateRepos: join(folder, 'repos'), ...change };
}

async function openLibrary(change: Partial<EngineSettings> = {}): Promise<void> {
  library = createLibrary({
    context: {
      hosts: {} as HostAccess,
      settings: await settings(change),
      resourcesDir: join(folder, 'resources'),
      plugins: createRegistry(),
    },
    log: createLog(() => undefined),
    publish: (state) => published.push(state),
    register: (operation) => registered.push(operation),
    nameOf: (path) => path,
  });
}

/** A repository with one template of two versions; only the first has an image. */
function serveRepository(): void {
  const image = Buffer.alloc(MIB, 7);
  const version = (handle: string, timestamp: number): object => ({ source: 'web', handle, timestamp });
  server.put(
    '/repo.json',
    JSON.stringify({
      name: 'web',
      sources: { web: { type: 'http', args: { baseurl: server.url } } },
      templates: { small: { versions: { v1: version('small-v1', 1), v2: version('small-v2', 2) } } },
    }),
  );
  server.put('/small-v1', image);
  server.put('/small-v1.hash', createHash('sha1').update(image).digest('hex'));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago-library-'));
  server = await startMisbehavingServer();
  published = [];
  registered = [];
});
afterEach(async () => {
  library[Symbol.dispose]();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

describe('the library', () => {
  test('publishes changes by fetch and evict, and the operation working on a version', async () => {
    serveRepository();
    await openLibrary({ templateRepoPath: `${server.url}/repo.json` });
    await library.begin();
    expect(published.at(-1)?.templates).toMatchObject([
      { id: 'web:small', versions: [{ version: 'v2' }, { version: 'v1', cached: false }] },
    ]);
    const fetching = library.fetch('web:small:v1');
    expect(registered).toEqual([fetching]);
    expect(fetching.state).toMatchObject({ kind: 'fetch', template: 'web:small:v1', paused: false });
    expect((await library.state()).templates[0]?.versions[1]?.operation).toBe(fetching.id);
    expect(await fetching.done).toBe('web:small:v1');
    await expect.poll(() => published.at(-1)?.size, { timeout: 10_000 }).toBe(MIB);
    expect(published.at(-1)?.templates[0]?.versions[1]).toMatchObject({ cached: true, size: MIB, operation: null, usedBy: [] });
    await library.evict('web:small:v1').done;
    await expect.poll(() => published.at(-1)?.size, { timeout: 10_000 }).toBe(0);
  });

  test('never publishes an older value after a newer one, whatever happens in between', async () => {
    serveRepository();
    await openLibrary({ templateRepoPath: `${server.url}/repo.json` });
    await Promise.all([library.begin(), library.begin(), library.begin()]);
    expect(published).toHaveLength(1);
    await library.fetch('web:small:v1').done;
    await Promise.all([library.begin(), library.begin(), library.begin()]);
    const cached = published.map((state) => state.templates[0]?.versions[1]?.cached);
    expect(cached).toEqual([...cached].sort());
    expect(cached.at(-1)).toBe(true);
  });

  test('reports why a store cannot be read, and shows it once it can', async () => {
    await openLibrary();
    writeFileSync(join(folder, 'store'), 'not a folder');
    await library.begin();
    expect(published.at(-1)).toMatchObject({ problem: expect.stringContaining('store'), templates: [] });
    rmSync(join(folder, 'store'));
    await library.begin();
    expect(published.at(-1)).toMatchObject({ problem: null, templates: [] });
  });

  test('gives up a paused download when it is cancelled, and leaves nothing', async () => {
    serveRepository();
    server.put('/small-v1', Buffer.alloc(MIB, 7), [{ stallAfter: 100_000 }]);
    await openLibrary({ templateRepoPath: `${server.url}/repo.json` });
    const fetching = library.fetch('web:small:v1');
    await expect.poll(() => fetching.state.steps[0]?.detail).toContain('of 1 MiB');
    fetching.pause();
    expect(fetching.state).toMatchObject({ status: 'running', paused: true });
    fetching.cancel();
    await expect(fetching.done).rejects.toMatchObject({ code: 'cancelled' });
    expect(fetching.state).toMatchObject({ status: 'cancelled', paused: false });
    expect(readdirSync(join(folder, 'store')).filter((name) => !/\.(?:lock|part|part\.json)$/.test(name))).toEqual([]);
  });

  test('notices what other processes add to the repositories folder', async () => {
    mkdirSync(join(folder, 'repos'));
    await openLibrary();
    await library.begin();
    expect(published.at(-1)?.repositories).toEqual([]);
    const repository = { name: 'office', sources: {}, templates: {} };
    writeFileSync(join(folder, 'office.json'), JSON.stringify(repository));
    renameSync(join(folder, 'office.json'), join(folder, 'repos/office.json'));
    await expect.poll(() => published.at(-1)?.repositories, { timeout: 10_000 }).toMatchObject([{ name: 'office', kind: 'added' }]);
  });

  test('asks an unreachable configured repository once, and again for a fetch', async () => {
    await openLibrary({ templateRepoPath: `${server.url}/repo.json` });
    const asked = (): number => server.requests.filter(({ path }) => path === '/repo.json').length;
    for (let round = 0; round < 3; round += 1) {
      expect((await library.state()).repositories).toMatchObject([{ kind: 'configured', templates: 0, problem: expect.any(String) }]);
    }
    expect(asked()).toBe(1);
    serveRepository();
    expect(await library.fetch('web:small:v1').done).toBe('web:small:v1');
    expect((await library.state()).repositories).toMatchObject([{ problem: null, templates: 1 }]);
    expect(asked()).toBe(2);
  });
});
