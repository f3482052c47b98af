import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cachedVerdict, fileIdentity } from './verdict-cache.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-verdict-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('probes once for the same key', async () => {
  let asked = 0;
  const probe = async (): Promise<string> => await Promise.resolve(`answer ${++asked}`);
  const environment = { XDG_CACHE_HOME: folder };
  expect(await cachedVerdict('x', 'a', probe, { environment })).toBe('answer 1');
  expect(await cachedVerdict('x', 'a', probe, { environment })).toBe('answer 1');
  expect(await cachedVerdict('y', 'a', probe, { environment })).toBe('answer 2');
  expect(await cachedVerdict('x', 'b', probe, { environment })).toBe('answer 3');
  expect(readdirSync(join(folder, 'lago')).toSorted()).toEqual(['x.json', 'y.json']);
});

test('a damaged cache and one that cannot be written only cost time', async () => {
  mkdirSync(join(folder, 'lago'));
  writeFileSync(join(folder, 'lago/x.json'), '{');
  const probe = async (): Promise<string> => await Promise.resolve('yes');
  expect(await cachedVerdict('x', 'a', probe, { environment: { XDG_CACHE_HOME: folder } })).toBe('yes');
  expect(
    await cachedVerdict('x', 'a', async () => await Promise.reject(new Error('asked again')), { environment: { XDG_CACHE_HOME: folder } }),
  ).toBe('yes');
  writeFileSync(join(folder, 'file'), '');
  expect(await cachedVerdict('x', 'a', probe, { environment: { XDG_CACHE_HOME: join(folder, 'file') } })).toBe('yes');
});

test('a probe that fails is not kept', async () => {
  const environment = { XDG_CACHE_HOME: folder };
  await expect(cachedVerdict('x', 'a', async () => await Promise.reject(new Error('broken')), { environment })).rejects.toThrow('broken');
  expect(await cachedVerdict('x', 'a', async () => await Promise.resolve('fine'), { environment })).toBe('fine');
});

test('a replaced file has another identity', () => {
  const path = join(folder, 'program');
  expect(fileIdentity(path)).toBe('-');
  writeFileSync(path, '1');
  const before = fileIdentity(path);
  expect(fileIdentity(path)).toBe(before);
  writeFileSync(path, '22');
  expect(fileIdentity(path)).not.toBe(before);
});

test('keeps only the results that are to be kept', async () => {
  const environment = { XDG_CACHE_HOME: folder };
  const answers = ['fails: the disk is full', 'works', 'never asked'];
  const probe = async (): Promise<string> => await Promise.resolve(answers.shift() ?? '');
  const ask = async (): Promise<string> => await cachedVerdict('x', 'a', probe, { environment, isKept: (value) => value === 'works' });
  expect([await ask(), await ask(), await ask()]).toEqual(['fails: the disk is full', 'works', 'works']);
});
