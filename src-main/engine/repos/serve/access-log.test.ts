import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { RepoAccess } from '../../../../src-shared/repos/repo-access.ts';
import { followAccesses, readAccesses } from './access-log.ts';

let folder = '';
let path = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-accesses-'));
  path = join(folder, 'access.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true }));

const line = (name: string): string =>
  `${JSON.stringify({ time: '2026-01-01T00:00:00.000Z', client: '192.168.200.2', vm: 'web', method: 'GET', path: `/${name}`, status: 200, bytes: 1, range: null, milliseconds: 0.5 })}\n`;

test('there is nothing before the first request', async () => {
  expect(await readAccesses(path)).toEqual([]);
});

test('lines are read in their order, damaged ones left out', async () => {
  writeFileSync(`${path}.0`, `${line('a')}{"time":"2026`);
  writeFileSync(path, `\n${line('b')}{"other":1}\n${line('c').slice(0, 30)}`);
  expect((await readAccesses(path)).map((access) => access.path)).toEqual(['/a', '/b']);
});

test('what is added is followed, also when the log is begun anew', async () => {
  writeFileSync(path, line('old'));
  const stop = new AbortController();
  const seen: string[] = [];
  const next = followAccesses(path, stop.signal);
  const read = async (): Promise<void> => {
    const { value } = await next.next();
    seen.push(...(value as readonly RepoAccess[]).map((access) => access.path));
  };
  const first = read();
  appendFileSync(path, line('a'));
  await first;
  appendFileSync(path, line('cut').slice(0, 20));
  const second = read();
  appendFileSync(path, line('cut').slice(20));
  await second;
  while (seen.at(-1) !== '/cut') await read();
  renameSync(path, `${path}.0`);
  writeFileSync(path, line('new'));
  while (seen.at(-1) !== '/new') await read();
  expect(seen).toEqual(['/a', '/cut', '/new']);
  const last = next.next();
  stop.abort();
  expect(await last).toEqual({ done: true, value: undefined });
});

test('a log that is not there yet is followed', async () => {
  const stop = new AbortController();
  const next = followAccesses(path, stop.signal);
  const first = next.next();
  writeFileSync(path, line('first'));
  expect((await first).value).toMatchObject([{ path: '/first', vm: 'web' }]);
  stop.abort();
  expect((await next.next()).done).toBe(true);
});

test('those that are kept come first, at most so many, and none twice after the log was renamed', async () => {
  const stop = new AbortController();
  writeFileSync(`${path}.0`, line('a') + line('b'));
  writeFileSync(path, line('c') + line('d'));
  const next = followAccesses(path, stop.signal, 3);
  const names = async (): Promise<readonly string[]> => ((await next.next()).value as readonly RepoAccess[]).map((access) => access.path);
  expect(await names()).toEqual(['/b', '/c', '/d']);
  renameSync(path, `${path}.0`);
  writeFileSync(path, line('e'));
  expect(await names()).toEqual(['/e']);
  appendFileSync(path, line('f'));
  expect(await names()).toEqual(['/f']);
  stop.abort();
  expect((await next.next()).done).toBe(true);
});
