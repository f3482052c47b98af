import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runChecked } from '../core/run.ts';
import { readInitFile } from './read-init-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lago-read-'));
  await writeFile(join(folder, 'good'), 'domains: {}\n');
  await runChecked(['mkfifo', join(folder, 'pipe')], 'mkfifo failed.');
  await symlink('pipe', join(folder, 'link-to-pipe'));
  await symlink('loop', join(folder, 'loop'));
  await symlink('nowhere', join(folder, 'dangling'));
  await mkdir(join(folder, 'folder'));
  await writeFile(join(folder, 'huge'), '');
  await truncate(join(folder, 'huge'), 2 ** 40);
});
afterAll(async () => await rm(folder, { recursive: true, force: true }));

test.each([
  ['pipe', 'input.invalid', 'is a named pipe, not an init file.'],
  ['link-to-pipe', 'input.invalid', 'is a named pipe, not an init file.'],
  ['/dev/zero', 'input.invalid', 'is a device, not an init file.'],
  ['/dev/tty', 'input.invalid', 'is a device, not an init file.'],
  ['/dev/null', 'input.invalid', 'is a device, not an init file.'],
  ['folder', 'input.missing-file', 'is a folder, not an init file.'],
  ['huge', 'input.invalid', 'is too large for an init file: it has more than 1024 KiB.'],
  ['loop', 'input.missing-file', 'form a loop'],
  ['dangling', 'input.missing-file', 'Unable to find init file'],
  ['none', 'input.missing-file', 'Unable to find init file'],
  ['good/below', 'input.missing-file', 'Unable to find init file'],
  ['x'.repeat(5000), 'input.missing-file', 'is too long'],
])('%s is refused at once: %s', async (name, code, message) => {
  const error: unknown = await readInitFile(name.startsWith('/') ? name : join(folder, name)).catch((cause: unknown) => cause);
  expect(error).toMatchObject({ code, message: expect.stringContaining(message) as string, hint: expect.any(String) as string });
});

test('a socket too', async () => {
  const path = join(folder, 'socket');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(path, resolve));
  await expect(readInitFile(path)).rejects.toMatchObject({ code: 'input.invalid' });
  await new Promise((resolve) => server.close(resolve));
});

test('a kernel file that reports size 0 is read only up to the limit', async () => {
  expect(await readInitFile(join(folder, 'good'))).toBe('domains: {}\n');
  expect(await readInitFile('/proc/self/status')).toContain('Name:');
});
