import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MisbehavingServer, startMisbehavingServer } from '../core/download/misbehaving-server.test-support.ts';
import { createPauseGate, type PauseGate } from '../core/pause.ts';
import type { TemplateVersion } from './repository.ts';
import { contentsOf, rawImage, sha1, templateVersion } from './store.test-support.ts';
import { openStore, type TemplateStore } from './store.ts';
import type { TemplateUser } from './store-usage.ts';

const DAY = 24 * 3600 * 1000;
let folder = '';
let server: MisbehavingServer;
let store: TemplateStore;
const path = (name: string): string => join(folder, 'store', name);

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lago usage '));
  server = await startMisbehavingServer();
  store = openStore(join(folder, 'store'), { download: { backOffMs: 1, env: {} } });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function publish(template = 'el7'): TemplateVersion {
  const image = rawImage();
  server.put(`/${template}`, image);
  server.put(`/${template}.hash`, sha1(image));
  return templateVersion(`${server.url}/${template}`, { template });
}

/** An environment that uses a template. */
function environment(name: string): TemplateUser {
  mkdirSync(join(folder, name));
  const uuidFile = join(folder, name, 'uuid');
  writeFileSync(uuidFile, name);
  return { uuidFile, uuid: name };
}

describe('eviction', () => {
  test('removes all files of an unused image, and nothing that is in use', async () => {
    const used = environment('used');
    await store.fetch(publish('el7'), { user: used });
    await store.fetch(publish('el8'));
    await expect(store.evict('office:el7:v1')).rejects.toMatchObject({
      code: 'conflict.locked',
      message: `The template office:el7:v1 is used by ${join(folder, 'used')}.`,
    });
    expect(await store.evict('office:el8:v1')).toBeGreaterThan(0);
    await expect(store.evict('office:el8:v1')).rejects.toMatchObject({ code: 'template.missing' });
    expect(await store.list()).toEqual(['office:el7:v1']);
    rmSync(used.uuidFile);
    await store.evict('office:el7:v1');
    expect(readdirSync(join(folder, 'store')).filter((name) => !name.endsWith('.lock'))).toEqual([]);
  });

  test('neither counts nor changes a user whose folder was recreated for another environment', async () => {
    const user = environment('again');
    await store.fetch(publish(), { user });
    writeFileSync(user.uuidFile, 'another');
    expect((await store.usage())[0]?.users).toEqual([]);
    await store.evict('office:el7:v1');
    expect(readFileSync(user.uuidFile, 'utf8')).toBe('another');
  });

  test('by age counts from the last use, or from when another program put it there', async () => {
    await store.fetch(publish('el7'));
    await store.fetch(publish('el8'), { user: environment('user') });
    writeFileSync(path('office:old:v1'), rawImage());
    const long = (Date.now() - 40 * DAY) / 1000;
    utimesSync(path('office:old:v1'), long, long);
    expect((await store.evictUnused(30 * DAY)).map(({ fullName }) => fullName)).toEqual(['office:old:v1']);
    expect((await store.evictUnused(0)).map(({ fullName }) => fullName)).toEqual(['office:el7:v1']);
    expect(await store.list()).toEqual(['office:el8:v1']);
  });

  test('does not wait: an image being downloaded stays', async () => {
    const template = publish();
    let answer = (): void => undefined;
    const asked = new Promise<void>((reached) => {
      const image = rawImage();
      server.put('/el7.hash', sha1(image));
      server.put('/el7', image, [
        {
          hold: (reply) => {
            answer = reply;
            reached();
          },
        },
      ]);
    });
    const fetching = store.fetch(template);
    await asked;
    // To eviction this looks like another program's image of the same name.
    writeFileSync(path('office:el7:v1'), rawImage());
    await expect(store.evict('office:el7:v1')).rejects.toMatchObject({
      code: 'conflict.locked',
      message: expect.stringContaining('download of office:el7:v1'),
    });
    answer();
    await fetching;
  });
});

describe('verifying', () => {
  test('compares every recorded checksum, and finds one changed bit', async () => {
    await store.fetch(publish());
    expect(await store.verify('office:el7:v1')).toEqual(['sha1']);
    const bytes = readFileSync(path('office:el7:v1'));
    bytes[4000] = (bytes[4000] ?? 0) ^ 4;
    writeFileSync(path('office:el7:v1'), bytes);
    await expect(store.verify('office:el7:v1')).rejects.toMatchObject({ code: 'remote.hash-mismatch' });
  });

  test('reports when there is none', async () => {
    await store.fetch(publish());
    rmSync(path('office:el7:v1.hash'));
    rmSync(path('office:el7:v1.info'));
    await expect(store.verify('office:el7:v1')).rejects.toMatchObject({ code: 'not-available' });
    await expect(store.verify('office:none:v1')).rejects.toMatchObject({ code: 'template.missing' });
  });
});

describe('a paused download', () => {
  /** Starts a download that pauses at its first bytes only. */
  function begin(template: TemplateVersion): {
    readonly fetching: Promise<unknown>;
    readonly rests: Promise<void>;
    goOn(): void;
    stop(): void;
  } {
    const gate = createPauseGate();
    const abort = new AbortController();
    let fetching: Promise<unknown> = Promise.resolve();
    const rests = new Promise<void>((done) => {
      const watched: PauseGate = {
        ...gate,
        get paused() {
          return gate.paused;
        },
        async passed(signal) {
          if (gate.paused) done();
          await gate.passed(signal);
        },
      };
      let first = true;
      const progress = (): void => {
        if (first) gate.pause();
        first = false;
      };
      fetching = store.fetch(template, { gate: watched, signal: abort.signal, progress });
    });
    return { fetching, rests, goOn: () => gate.resume(), stop: () => abort.abort() };
  }

  test('closes the connection, and resumes at the same offset', async () => {
    const { fetching, rests, goOn } = begin(publish());
    await rests;
    expect(contentsOf(join(folder, 'store'))).not.toHaveProperty('office:el7:v1');
    goOn();
    await fetching;
    expect(sha1(readFileSync(path('office:el7:v1')))).toBe(readFileSync(path('office:el7:v1.hash'), 'utf8'));
    const ranges = server.requests.filter((request) => request.path === '/el7').map(({ headers }) => headers.range);
    expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d*-$/)]);
  });

  test('is cancelled like a running one', async () => {
    const { fetching, rests, stop } = begin(publish());
    await rests;
    stop();
    await expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
    expect(contentsOf(join(folder, 'store'))).toEqual({});
  });
});
