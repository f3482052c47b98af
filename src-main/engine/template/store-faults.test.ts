import { spawnSync } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { type Behaviour, type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { findTemplate, loadRepository, type TemplateVersion } from './repository.ts';
import { contentsOf, MIB, sha1 } from './store.test-support.ts';
import { openStore, type StoreOptions } from './store.ts';

const quick: StoreOptions = { download: { backOffMs: 1, env: {} } };
/** Half noise, so that its packed form is long enough to be cut in many places; an odd size on purpose. */
const image = Buffer.concat([randomBytes(MIB), Buffer.alloc(2 * MIB), randomBytes(MIB + 4321)]);
const packed = {
  xz: spawnSync('xz', ['-c0'], { input: image, maxBuffer: 16 * MIB }).stdout,
  zst: spawnSync('zstd', ['-cq'], { input: image, maxBuffer: 16 * MIB }).stdout,
};
let folder = '';
let server: MisbehavingServer;
const store = (): string => join(folder, 'store');

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago faults '));
  server = await startMisbehavingServer();
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

/** Puts a repository on the server with one template, its image packed, and loads it as the engine does. */
async function publish(kind: 'xz' | 'zst', behaviours: readonly Behaviour[] = []): Promise<TemplateVersion> {
  const repository = {
    name: 'office',
    sources: { web: { type: 'http', args: { baseurl: `${server.url}/images` } } },
    templates: { el7: { versions: { v1: { source: 'web', handle: 'el7.qcow2', timestamp: 1 } } } },
  };
  server.put('/repo.json', JSON.stringify(repository));
  // Lago's servers announce a name without .xz; any other compression is detected from the content.
  server.put(`/images/el7.qcow2${kind === 'xz' ? '.xz' : ''}`, packed[kind], behaviours);
  server.put('/images/el7.qcow2.hash', sha1(image));
  return findTemplate(await loadRepository(`${server.url}/repo.json`), 'el7');
}

function imageRequests(): number {
  return server.requests.filter(({ path, method }) => method === 'GET' && /el7\.qcow2(?:\.xz)?$/.test(path)).length;
}

describe.each(['xz', 'zst'] as const)('a template packed by %s', (kind) => {
  test('arrives exactly right over 100 connections that drop at random places', async () => {
    const most = Math.floor(packed[kind].length / 100) - 1;
    const drops = Array.from({ length: 100 }, () => ({ dropAfter: randomInt(1, most) }));
    const before = imageRequests();
    const template = await publish(kind, drops);
    const { path } = await openStore(store(), quick).fetch(template);
    expect(readFileSync(path).equals(image)).toBe(true);
    // A plain name is first requested with .xz, which does not exist.
    expect(imageRequests() - before).toBe(101 + (kind === 'xz' ? 0 : 1));
  }, 120_000);

  test('arrives exactly right or not at all, whatever its server does', async () => {
    const size = packed[kind].length;
    const at = (): number => randomInt(0, size);
    const wrong = Buffer.from(packed[kind]);
    wrong[at()] = randomInt(256);
    const faults: readonly (() => Behaviour)[] = [
      () => ({ dropAfter: at() }),
      () => ({ stallAfter: at() }),
      () => ({ announce: at() }),
      () => ({ announce: size + 1 + at() }),
      () => ({ content: wrong }),
      () => ({ content: packed[kind].subarray(0, at()) }),
      () => ({ noRanges: true, dropAfter: at() }),
      () => ({ etag: '"v2"', dropAfter: at() }),
      () => ({ status: 503 }),
      () => ({ status: 404 }),
      () => ({ status: 403 }),
      () => ({ headers: { 'content-range': 'bytes 0-1/2' } }),
      () => ({}),
    ];
    const outcomes = { whole: 0, refused: 0 };
    for (let turn = 0; turn < 25; turn++) {
      rmSync(store(), { recursive: true, force: true });
      const behaviours = Array.from({ length: randomInt(1, 6) }, () => (faults[randomInt(faults.length)] as () => Behaviour)());
      const template = await publish(kind, behaviours);
      try {
        const { path } = await openStore(store(), { download: { backOffMs: 1, attempts: 3, idleMs: 60, env: {} } }).fetch(template);
        expect(readFileSync(path).equals(image), JSON.stringify(behaviours)).toBe(true);
        outcomes.whole++;
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        expect(['remote.invalid', 'remote.unreachable', 'remote.hash-mismatch']).toContain(error.code);
        expect(contentsOf(store()), JSON.stringify(behaviours)).toEqual({});
        outcomes.refused++;
      }
    }
    // Both outcomes must occur, or no fault was effective.
    expect(Math.min(outcomes.whole, outcomes.refused)).toBeGreaterThan(0);
  }, 120_000);

  test('leaves the store as it was when its server disappears for good', async () => {
    const template = await publish(kind, [{ stallAfter: 100_000 }]);
    const leave = new AbortController();
    const fetching = openStore(store(), { download: { backOffMs: 1, attempts: 3, env: {} } }).fetch(template, {
      progress: () => leave.abort(),
    });
    leave.signal.addEventListener('abort', () => void server[Symbol.asyncDispose]());
    await expect(fetching).rejects.toMatchObject({ code: 'remote.unreachable' });
    expect(contentsOf(store())).toEqual({});
    server = await startMisbehavingServer();
  });

  test('is resumed after an interruption, but the kept part of a wrong one is not used twice', async () => {
    const part = join(store(), 'office:el7:v1.part');
    const options = { download: { backOffMs: 1, attempts: 1, env: {} } };
    const cut = Math.floor(packed[kind].length / 2);
    const behind = (behaviours: readonly Behaviour[]): Promise<TemplateVersion> => publish(kind, behaviours);
    await expect(openStore(store(), options).fetch(await behind([{ dropAfter: cut }, { status: 503 }]))).rejects.toMatchObject({
      code: 'remote.unreachable',
    });
    expect(readFileSync(part).equals(packed[kind].subarray(0, readFileSync(part).length))).toBe(true);
    // The same marks but other bytes: only the hash detects it.
    const wrong = readFileSync(part);
    wrong[wrong.length >> 1] = (wrong[wrong.length >> 1] ?? 0) ^ 1;
    writeFileSync(part, wrong);
    await expect(openStore(store(), options).fetch(await behind([]))).rejects.toMatchObject({
      code: expect.stringMatching(/^remote\./) as string,
    });
    expect(existsSync(part)).toBe(false);
    const { path } = await openStore(store(), options).fetch(await behind([]));
    expect(readFileSync(path).equals(image)).toBe(true);
    expect(existsSync(part)).toBe(false);
  });

  test('abandoned for long is removed by the next download', async () => {
    mkdirSync(store());
    for (const [name, days] of [
      ['old', 8],
      ['young', 6],
    ] as const) {
      writeFileSync(join(store(), `r:${name}:1.part`), '');
      writeFileSync(join(store(), `r:${name}:1.part.json`), '{}');
      const when = new Date(Date.now() - days * 24 * 3600 * 1000);
      utimesSync(join(store(), `r:${name}:1.part`), when, when);
    }
    await openStore(store(), quick).fetch(await publish(kind));
    expect(readdirSync(store()).filter((name) => name.includes('.part'))).toEqual(['r:young:1.part', 'r:young:1.part.json']);
  });

  test('that has another hash than announced leaves the store as it was', async () => {
    const template = await publish(kind);
    server.put('/images/el7.qcow2.hash', sha1(Buffer.from('another')));
    await expect(openStore(store(), quick).fetch(template)).rejects.toMatchObject({ code: 'remote.hash-mismatch' });
    expect(contentsOf(store())).toEqual({});
  });
});
