import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectScreen } from './vnc.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'lago-vnc-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

test('returns the bytes of the screen', async () => {
  const path = join(directory, 'web.sock');
  const server = createServer((socket) => socket.end('RFB 003.008\n'));
  server.listen(path);
  await once(server, 'listening');
  try {
    const screen = await connectScreen(path, { vm: 'web' });
    let text = '';
    for await (const chunk of screen) text += String(chunk);
    expect(text).toBe('RFB 003.008\n');
  } finally {
    server.close();
  }
});

test('a VM that does not run has none', async () => {
  await expect(connectScreen(join(directory, 'none.sock'), { vm: 'db' })).rejects.toMatchObject({
    code: 'vm.not-running',
    message: 'VM db has no screen: it is not running.',
  });
  await writeFile(join(directory, 'plain'), '');
  await expect(connectScreen(join(directory, 'plain'), { vm: 'db' })).rejects.toMatchObject({ code: 'vm.not-running' });
});

test('an invalid socket path', async () => {
  await expect(connectScreen(join(directory, 'plain', 'below'), { vm: 'db' })).rejects.toMatchObject({ code: 'host.unavailable' });
});

test('abort', async () => {
  await expect(connectScreen(join(directory, 'x'), { vm: 'db', signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
});
