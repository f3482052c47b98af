import { appendFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { TimelineEvent } from '../../../src-shared/snapshot/timeline.ts';
import { addEvent, readEvents } from './events.ts';
import { type PrefixPaths, prefixPaths } from './layout.ts';

let paths: PrefixPaths;
beforeEach(() => {
  paths = prefixPaths(mkdtempSync(join(tmpdir(), 'lago-events-')));
});
afterEach(() => rmSync(paths.root, { recursive: true }));

const event = (at: number, label = `Start ${at}`): TimelineEvent => ({ at, kind: 'start', label });

test('a prefix without the file has no events', async () => {
  expect(await readEvents(paths)).toEqual([]);
});

test('events come back in their order', async () => {
  for (const at of [1, 2, 3]) await addEvent(paths, event(at));
  expect(await readEvents(paths)).toEqual([event(1), event(2), event(3)]);
});

test('what was cut off is left out, and harms nothing that follows', async () => {
  await addEvent(paths, event(1));
  appendFileSync(paths.events, '\n{"at":2,"kind":"sta');
  await addEvent(paths, event(3));
  appendFileSync(paths.events, '\n{"at":"yesterday"}\n');
  expect(await readEvents(paths)).toEqual([event(1), event(3)]);
});

test('the oldest are forgotten, and the file stays small', async () => {
  const long = 'x'.repeat(2000);
  for (let at = 1; at <= 1200; at++) await addEvent(paths, event(at, `${at} ${long}`));
  const events = await readEvents(paths);
  expect([events.length, events.at(0)?.at, events.at(-1)?.at]).toEqual([300, 901, 1200]);
  expect(statSync(paths.events).size).toBeLessThan(512 * 1024);
});
