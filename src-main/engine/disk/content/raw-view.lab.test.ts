import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLayer } from '../layers.ts';
import { openRawView } from './raw-view.ts';

let dir: string;
const layer = (name: string): string => join(dir, `${name}.qcow2`);

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'lago-view-'));
  writeFileSync(join(dir, 'raw'), Buffer.alloc(1024 * 1024, 'content'));
  execFileSync('qemu-img', ['convert', '-O', 'qcow2', join(dir, 'raw'), layer('base')]);
  await createLayer({ path: layer('middle'), below: layer('base'), belowFormat: 'qcow2' });
  await createLayer({ path: layer('top'), below: layer('middle'), belowFormat: 'qcow2' });
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('a view of layers keeps nobody from writing to any of them, and leaves nothing', async () => {
  const scratch = join(dir, 'view');
  const signal = new AbortController().signal;
  const view = await openRawView({ path: layer('top'), format: 'qcow2' }, scratch, signal);
  try {
    expect(readFileSync(view.path).equals(readFileSync(join(dir, 'raw')))).toBe(true);
    for (const name of ['top', 'middle', 'base'])
      execFileSync('qemu-io', ['-f', 'qcow2', '-c', 'write -P 1 0 64k', layer(name)], { stdio: 'pipe' });
  } finally {
    await view[Symbol.asyncDispose]();
  }
  expect(existsSync(scratch)).toBe(false);
});
