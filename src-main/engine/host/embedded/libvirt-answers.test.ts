import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { askLibvirt } from './libvirt-answers.ts';

let folder = '';
let server: Server | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-answers-'));
});
afterEach(() => {
  server?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** A daemon that answers each call with the status and body from `reply`. */
async function daemon(
  reply: (procedure: number, body: Buffer) => { status: number; body: Buffer } | undefined,
  write = (socket: Socket, bytes: Buffer): void => void socket.write(bytes),
) {
  const path = join(folder, 'sock');
  server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      const answer = reply(chunk.readUInt32BE(12), chunk.subarray(28));
      if (answer === undefined) return socket.destroy();
      const bytes = Buffer.concat([Buffer.from(chunk.subarray(0, 28)), answer.body]);
      bytes.writeUInt32BE(bytes.length, 0);
      bytes.writeUInt32BE(1, 16);
      bytes.writeUInt32BE(answer.status, 24);
      write(socket, bytes);
      return undefined;
    });
  }).listen(path);
  await once(server, 'listening');
  return path;
}

test('asks for authentication, then opens the QEMU driver', async () => {
  const calls: [number, string][] = [];
  const path = await daemon(
    (procedure, body) => {
      calls.push([procedure, body.toString('hex')]);
      return { status: 0, body: Buffer.alloc(4) };
    },
    (socket, bytes) => {
      // Replies may come in pieces.
      socket.write(bytes.subarray(0, 10));
      setImmediate(() => socket.write(bytes.subarray(10)));
    },
  );
  expect(await askLibvirt(path, 5000)).toBe('ready');
  const name = Buffer.from('qemu:///system').toString('hex');
  expect(calls).toEqual([
    [66, ''],
    [1, `000000010000000e${name}000000000000`],
  ]);
});

test('returns libvirt’s message', async () => {
  const text = Buffer.from('no such driver..');
  const path = await daemon((procedure) => {
    if (procedure === 66) return { status: 0, body: Buffer.alloc(4) };
    const head = Buffer.alloc(16);
    head.writeUInt32BE(5, 0);
    head.writeUInt32BE(1, 8);
    head.writeUInt32BE(14, 12);
    return { status: 1, body: Buffer.concat([head, text]) };
  });
  expect(await askLibvirt(path, 5000)).toEqual({ refused: 'no such driver' });
});

test('nobody, a closed connection and silence are no answer', async () => {
  expect(await askLibvirt(join(folder, 'missing'), 5000)).toBe('not-yet');
  const path = await daemon(() => undefined);
  expect(await askLibvirt(path, 5000)).toBe('not-yet');
  server?.close();
  const silent = join(folder, 'silent');
  server = createServer(() => undefined).listen(silent);
  await once(server, 'listening');
  expect(await askLibvirt(silent, 20)).toBe('not-yet');
});

test('something else on the socket is refused', async () => {
  const path = join(folder, 'other');
  server = createServer((socket) => socket.on('error', () => undefined).end('HTTP/1.1 400 Bad Request\r\n\r\n and more')).listen(path);
  await once(server, 'listening');
  expect(await askLibvirt(path, 5000)).toHaveProperty('refused');
});
