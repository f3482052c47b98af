import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../core/log.ts';
import { openTcpChannel } from './channel.ts';
import { type FakeGuest, loopbackDial, memoryHostKeys, startFakeGuest } from './guest.fake.ts';
import { generateEd25519 } from './keys.ts';
import { connectSsh, type SshConnection } from './ssh.ts';

let privateKey: string;
beforeAll(async () => {
  ({ privateKey } = await generateEd25519('test'));
});

async function login(guest: FakeGuest): Promise<SshConnection> {
  const where = { dial: loopbackDial(), address: '127.0.0.1', port: guest.port, vm: 'host' };
  return await connectSsh({ ...where, user: 'root', privateKey, hostKeys: memoryHostKeys(), timeoutMs: 10_000, log: silentLog });
}

const target = { host: 'engine.lago.local', port: 443 };

describe('a connection from a guest', () => {
  it('leads to where the guest reaches, and carries bytes both ways', async () => {
    await using guest = await startFakeGuest({ forward: () => new PassThrough() });
    await using connection = await login(guest);
    const stream = await openTcpChannel(connection.client, () => connection.lost(), target);
    const sent = 'x'.repeat(3 * 1024 * 1024);
    stream.end(sent);
    expect(await text(stream)).toBe(sent);
    expect(guest.seen).toContain('forward engine.lago.local:443');
  });

  it('that the guest refuses is an error that names the port', async () => {
    await using guest = await startFakeGuest();
    await using connection = await login(guest);
    await expect(openTcpChannel(connection.client, () => connection.lost(), target)).rejects.toMatchObject({
      code: 'guest.unreachable',
      message: expect.stringContaining('Port 443 of engine.lago.local cannot be reached from the guest') as string,
    });
  });

  it('ends with the login, and is not begun after an abort', async () => {
    await using guest = await startFakeGuest({ forward: () => new PassThrough() });
    await using connection = await login(guest);
    const aborted = { ...target, signal: AbortSignal.abort() };
    await expect(openTcpChannel(connection.client, () => connection.lost(), aborted)).rejects.toMatchObject({ code: 'cancelled' });
    const stream = await openTcpChannel(connection.client, () => connection.lost(), target);
    const failed = once(stream, 'error');
    for (const socket of guest.sockets) socket.destroy();
    expect((await failed)[0]).toMatchObject({ code: 'guest.unreachable' });
  });
});
