import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  cacheFolder,
  isPrivateFolder,
  makePrivateFolder,
  runtimeDirFor,
  runtimeRoot,
  runtimeRoots,
  SOCKET_PATH_LIMIT,
} from './runtime-dir.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-runtime-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const fallback = process.getuid?.() === 0 ? '/run/lago' : `/tmp/lago-${process.getuid?.() ?? 0}`;
const ID = '01234567-89ab-cdef-0123-456789abcdef';

test('the session’s folder is used when it is private', () => {
  expect(runtimeRoot({ XDG_RUNTIME_DIR: folder })).toBe(join(folder, 'lago'));
  expect(runtimeDirFor(ID, { XDG_RUNTIME_DIR: folder })).toBe(join(folder, 'lago', '0123456789ab'));
  expect(runtimeRoots({ XDG_RUNTIME_DIR: folder })).toEqual([join(folder, 'lago'), fallback]);
});

test('anything else is not trusted with sockets', () => {
  chmodSync(folder, 0o755);
  expect(runtimeRoot({ XDG_RUNTIME_DIR: folder })).toBe(fallback);
  expect(runtimeRoot({ XDG_RUNTIME_DIR: join(folder, 'missing') })).toBe(fallback);
  expect(runtimeRoot({ XDG_RUNTIME_DIR: 'relative' })).toBe(fallback);
  expect(runtimeRoot({})).toBe(fallback);
  const long = join(folder, 'x'.repeat(60));
  mkdirSync(long, { mode: 0o700 });
  expect(runtimeRoot({ XDG_RUNTIME_DIR: long })).toBe(fallback);
  expect(runtimeRoots({})).toEqual([fallback]);
});

test('the longest socket of an environment fits its address', () => {
  const session = `/${'x'.repeat(SOCKET_PATH_LIMIT - 62)}`;
  const vnc = join(session, 'lago', '0123456789ab', 'vnc');
  expect(`${vnc}/12345678.sock`.length).toBeLessThanOrEqual(SOCKET_PATH_LIMIT);
});

test('makes a folder private, whatever was there before', () => {
  const path = join(folder, 'a/b');
  makePrivateFolder(path);
  expect(statSync(path).mode & 0o777).toBe(0o700);
  chmodSync(path, 0o777);
  makePrivateFolder(path);
  expect(isPrivateFolder(path)).toBe(true);
});

test('refuses a link and a file', () => {
  const link = join(folder, 'link');
  symlinkSync(folder, link);
  expect(() => makePrivateFolder(link)).toThrow(expect.objectContaining({ code: 'host.denied' }));
  const file = join(folder, 'file');
  writeFileSync(file, '');
  expect(isPrivateFolder(file)).toBe(false);
});

test('the cache follows XDG', () => {
  expect(cacheFolder({ XDG_CACHE_HOME: '/c' })).toBe('/c/lago');
  expect(cacheFolder({ HOME: '/home/x' })).toBe('/home/x/.cache/lago');
  expect(cacheFolder({ XDG_CACHE_HOME: 'relative', HOME: '/home/x' })).toBe('/home/x/.cache/lago');
});
