import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { createPauseGate } from '../core/pause.ts';
import { type RepositoryServer, startRepositoryServer } from './fetch/repository-server.test-support.ts';
import { DEB, type Kind, type Made, RPM } from './kinds.test-support.ts';
import { syncRepo } from './sync.ts';
import type { SyncProgress } from './sync-result.ts';

let store = '';
let server: RepositoryServer;

beforeEach(async () => {
  store = mkdtempSync(join(tmpdir(), 'lago-pause-'));
  server = await startRepositoryServer();
});

afterEach(async () => {
  await server[Symbol.asyncDispose]();
  rmSync(store, { recursive: true });
});

/** Begins a synchronisation whose large package stalls half-way, and pauses it there. */
async function pausedHalfWay<P extends Made>({ make, serve, section }: Kind<P>, signal?: AbortSignal) {
  const gate = createPauseGate();
  const large = make('large', '1', 1_000_000);
  server.serve(serve([make('small', '1', 300), large]));
  server.fail((path) => (path === large.path ? { kind: 'stall', share: 0.5 } : undefined));
  const ranges: (string | undefined)[] = [];
  let closed: (() => void) | undefined;
  const left = new Promise<void>((resolve) => {
    closed = resolve;
  });
  server.watch((request) => {
    if (!(request.url ?? '').endsWith(large.path)) return;
    ranges.push(request.headers.range);
    request.socket.once('close', () => closed?.());
  });
  const progress: SyncProgress[] = [];
  const onProgress = (one: SyncProgress): void => void progress.push(one);
  const sync = syncRepo(section(server.url), { store, gate, signal, onProgress, log: silentLog, env: {}, backOffMs: 1 });
  const parts = join(store, '.lago/tiny/parts');
  // The small one is here, and a part of the large one.
  await expect
    .poll(() => progress.at(-1)?.done === 1 && readParts(parts).length === 1 && progress.at(-1)?.bytes, { timeout: 20_000 })
    .toBeGreaterThan(300);
  gate.pause();
  await left;
  return { gate, sync, ranges, parts, progress };
}

function readParts(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

test.each([
  ['rpm', async () => await resumes(RPM)],
  ['deb', async () => await resumes(DEB)],
])('%s: a pause closes the connection and keeps what has arrived, and resuming goes on there', async (_, check) => await check());

async function resumes<P extends Made>(kind: Kind<P>): Promise<void> {
  const { gate, sync, ranges, progress } = await pausedHalfWay(kind);
  expect(ranges).toEqual([undefined]);
  const { bytes = 0, ...rest } = progress.at(-1) ?? {};
  expect(rest).toEqual({ stage: 'packages', done: 1, total: 2, totalBytes: 1_000_300 });
  expect(bytes).toBeGreaterThan(300);
  expect(bytes).toBeLessThanOrEqual(500_300);
  server.fail(undefined);
  gate.resume();
  expect(await sync).toMatchObject({ packages: 2, problems: [] });
  expect(ranges).toEqual([undefined, expect.stringMatching(/^bytes=[1-9]\d+-$/)]);
}

test('one that is cancelled while it is paused ends, and what has arrived is there for the next one', async () => {
  const abort = new AbortController();
  const { sync, ranges, parts } = await pausedHalfWay(RPM, abort.signal);
  abort.abort();
  await expect(sync).rejects.toThrow();
  expect(readParts(parts)).toHaveLength(1);
  server.fail(undefined);
  expect(await syncRepo(RPM.section(server.url), { store, log: silentLog, env: {} })).toMatchObject({ packages: 2 });
  expect(ranges.at(-1)).toMatch(/^bytes=[1-9]\d+-$/);
});
