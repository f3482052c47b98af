import { mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { takeLock } from '../core/lock.ts';
import { removeStaleParts } from './parts.ts';

let store: string;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'lago-parts-'));
});
afterEach(() => rmSync(store, { recursive: true, force: true }));

const left = (): readonly string[] =>
  readdirSync(store, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.includes(':') && !name.endsWith('.lock'))
    .sort();

function write(...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(join(store, name, '..'), { recursive: true });
    writeFileSync(join(store, name), 'x');
  }
}

it('removes what a killed process was writing, but nothing complete', async () => {
  const complete = ['r:t:1', 'r:t:1.hash', 'r:t:1.metadata', 'r:t:1.users', 'deep/r:t:2'];
  write(...complete, 'r:t:3.tmp', 'r:t:1.users.0a1b2c3d.tmp', 'r:t:1.part.json.0a1b2c3d.tmp', 'deep/r:t:4.tmp');
  await removeStaleParts(store);
  expect(left()).toEqual([...complete].sort());
});

it('leaves files that are in use', async () => {
  write('r:t:1.0a1b2c3d.tmp', 'r:t:2.tmp');
  await using _held = await takeLock(join(store, 'r:t:1.0a1b2c3d.lock'), { purpose: 'fetch' });
  await removeStaleParts(store);
  expect(left()).toEqual(['r:t:1.0a1b2c3d.tmp']);
});

it('keeps a resumable download for a week', async () => {
  write('r:t:1.part', 'r:t:1.part.json', 'r:t:2.part', 'r:t:2.part.json');
  const old = Date.now() / 1000 - 8 * 24 * 3600;
  utimesSync(join(store, 'r:t:2.part'), old, old);
  await removeStaleParts(store);
  expect(left()).toEqual(['r:t:1.part', 'r:t:1.part.json']);
});

it('does nothing without a store', async () => await removeStaleParts(join(store, 'none')));
