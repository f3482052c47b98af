import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchInitFile } from './watch-init-file.ts';

let folder: string;
let stop: AbortController;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-watch-'));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await rm(folder, { recursive: true, force: true });
});

test('a saved, a replaced and a removed file are each reported once, other files never', async () => {
  const file = join(folder, 'init.json');
  await writeFile(file, 'one');
  const changes = watchInitFile(file, stop.signal);
  expect((await changes.next()).done).toBe(false);

  const saved = changes.next();
  await writeFile(join(folder, 'other.json'), 'x');
  await writeFile(file, 'two, longer');
  expect((await saved).done).toBe(false);

  const replaced = changes.next();
  await writeFile(join(folder, '.init.json.swp'), 'three');
  await rename(join(folder, '.init.json.swp'), file);
  expect((await replaced).done).toBe(false);

  const removed = changes.next();
  await rm(file);
  expect((await removed).done).toBe(false);

  const ended = changes.next();
  stop.abort();
  expect((await ended).done).toBe(true);
});

test('a file is reported when it appears; in a folder the init file is found', async () => {
  const coming = watchInitFile(folder, stop.signal);
  await coming.next();
  const came = coming.next();
  await writeFile(join(folder, 'LagoInitFile'), 'domains: {}');
  expect((await came).done).toBe(false);
});

test('a missing folder cannot be watched', async () => {
  await expect(watchInitFile(join(folder, 'gone', 'init.json'), stop.signal).next()).rejects.toMatchObject({ code: 'not-available' });
});
