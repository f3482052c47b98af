import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeFolder } from './make-folder.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'lago-folder-'));
});

afterEach(() => rmSync(dir, { recursive: true }));

test('a folder is made with those above it, and may be there', async () => {
  const path = join(dir, 'a/b/c');
  await Promise.all([makeFolder(path), makeFolder(path), makeFolder(join(dir, 'a/x'))]);
  await makeFolder(path);
  expect(statSync(path).isDirectory()).toBe(true);
  symlinkSync(path, join(dir, 'link'));
  await makeFolder(join(dir, 'link'));
});

test('what has its place is said', async () => {
  writeFileSync(join(dir, 'file'), '');
  symlinkSync(join(dir, 'nowhere'), join(dir, 'link'));
  for (const name of ['file', 'file/below/more', 'link']) {
    await expect(makeFolder(join(dir, name))).rejects.toMatchObject({
      code: 'host.unavailable',
      message: expect.stringContaining('something else has its place'),
    });
  }
});
