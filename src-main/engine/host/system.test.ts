import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../core/log.ts';
import { chooseUplink } from './embedded/uplink.ts';
import { openSystemHost } from './system.ts';

let folder = '';
const confined = process.env['LAGO_CONFINED'];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-system-'));
  delete process.env['LAGO_CONFINED'];
});
afterEach(() => {
  if (confined === undefined) delete process.env['LAGO_CONFINED'];
  else process.env['LAGO_CONFINED'] = confined;
  rmSync(folder, { recursive: true, force: true });
});

const open = (uri = 'qemu:///session') => openSystemHost({ uri, accelerator: 'tcg', socketDir: join(folder, 'vnc') }, { log: silentLog });

async function readAll(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

test('is the machine itself', async () => {
  const host = await open();
  expect(host).toMatchObject({ kind: 'system', uri: 'qemu:///session', accelerator: 'tcg', uplink: 'none', dnsmasqAsRoot: false });
  expect((await host.run(['echo', 'here'])).stdout).toBe('here\n');
  const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  expect(await readAll(await host.dial('127.0.0.1', port))).toBe('hello');
  await expect(host.listen('127.0.0.1', port, () => undefined)).rejects.toMatchObject({ code: 'host.unavailable' });
  server.close();
  await once(server, 'close');
  await expect(host.dial('127.0.0.1', port)).rejects.toMatchObject({ code: 'guest.unreachable' });

  const listening = await host.listen('127.0.0.1', port, (stream) => stream.end('from the host'));
  expect(await readAll(connect(port, '127.0.0.1'))).toBe('from the host');
  await listening[Symbol.asyncDispose]();
  await expect(host.dial('127.0.0.1', port, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
});

test('the machine’s QEMU can create screen sockets there', async () => {
  await open('qemu:///system');
  const { mode } = statSync(join(folder, 'vnc'));
  // Root gives the folder to QEMU's user if there is one; otherwise anyone may create a socket there but not list it.
  expect([0o700, 0o733]).toContain(mode & 0o777);
  await open('qemu:///session');
  await expect(
    openSystemHost({ uri: 'qemu:///system', accelerator: 'tcg', socketDir: join(folder, 'x'.repeat(80)) }, { log: silentLog }),
  ).rejects.toMatchObject({
    code: 'input.invalid',
  });
});

test('a confined run does not touch the machine’s own libvirt or network', async () => {
  const host = await open();
  process.env['LAGO_CONFINED'] = '1';
  await expect(open()).rejects.toMatchObject({ code: 'host.denied' });
  const confinedAfterwards = await openUnchecked();
  await expect(confinedAfterwards.dial('192.0.2.1', 22)).rejects.toMatchObject({ code: 'host.denied' });
  await expect(confinedAfterwards.listen('192.0.2.1', 22, () => undefined)).rejects.toMatchObject({ code: 'host.denied' });
  await expect(confinedAfterwards.run(['true'])).rejects.toMatchObject({ code: 'host.denied' });
  expect(chooseUplink('auto', process.env, silentLog).kind).toBe('none');
  expect(host.kind).toBe('system');
});

/** A host opened before the run was confined must still obey the confinement. */
async function openUnchecked() {
  delete process.env['LAGO_CONFINED'];
  const host = await open();
  process.env['LAGO_CONFINED'] = '1';
  return host;
}

test('uses the uplink that is installed', () => {
  const lines: string[] = [];
  const log = { ...silentLog, warn: (line: string) => void lines.push(line) };
  expect(chooseUplink('none', {}, log).kind).toBe('none');
  expect(chooseUplink('auto', { PATH: '/usr/bin' }, log).kind).not.toBe('none');
  expect(chooseUplink('slirp4netns', {}, log)).toMatchObject({ kind: 'slirp4netns', nameServer: '198.19.254.3' });
  expect(lines).toEqual([]);
});

test('is never another machine', async () => {
  await expect(open('qemu+ssh://example.org/system')).rejects.toMatchObject({ code: 'input.invalid', hint: expect.any(String) as string });
});
