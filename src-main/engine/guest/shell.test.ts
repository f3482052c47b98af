import { once } from 'node:events';
import { Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { setTimeout as delay, setImmediate as turn } from 'node:timers/promises';
import type { ServerChannel } from 'ssh2';
import { beforeAll, describe, expect, test } from 'vitest';
import { EngineError } from '../../../src-shared/errors.ts';
import { silentLog } from '../core/log.ts';
import type { ChannelRequest } from './channel.ts';
import { type FakeGuest, loopbackDial, memoryHostKeys, startFakeGuest } from './guest.fake.ts';
import { generateEd25519 } from './keys.ts';
import { type GuestSession, openShellSession } from './shell.ts';
import { connectSsh } from './ssh.ts';

const MiB = 1024 * 1024;

let privateKey: string;
beforeAll(async () => {
  ({ privateKey } = await generateEd25519('test'));
});

async function open(guest: FakeGuest, request: ChannelRequest): Promise<GuestSession> {
  const connection = await connectSsh({
    dial: loopbackDial(),
    address: '127.0.0.1',
    port: guest.port,
    vm: 'web',
    user: 'root',
    privateKey,
    hostKeys: memoryHostKeys(),
    timeoutMs: 10_000,
    log: silentLog,
  });
  return await openShellSession(connection, request);
}

async function textOf(stream: NodeJS.ReadableStream | undefined): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += chunk.toString();
  return text;
}

async function eventually(condition: () => boolean): Promise<void> {
  for (let n = 0; !condition(); n++) {
    if (n > 1500) throw new Error('It never happened.');
    await delay(10);
  }
}

function echo(channel: ServerChannel): void {
  channel.pipe(channel, { end: false });
  channel.on('end', () => {
    channel.exit(7);
    channel.end();
  });
}

describe('a session', () => {
  test('with a pty: size, resize, bytes both ways, exit status', async () => {
    await using guest = await startFakeGuest({ run: echo });
    await using session = await open(guest, { pty: { columns: 120, rows: 40, term: 'xterm' } });
    expect(session.stderr).toBeUndefined();
    expect(guest.seen).toContain('pty 120x40 xterm');
    expect(guest.seen).toContain('shell');
    session.stream.write('héllo');
    const [chunk] = (await once(session.stream, 'data')) as [Buffer];
    expect(chunk.toString()).toBe('héllo');
    session.resize(80, 25);
    await eventually(() => guest.seen.includes('resize 80x25'));
    session.stream.end();
    expect(await session.exit).toBe(7);
    await eventually(() => guest.sockets.size === 0);
  });

  test('without one: a command, separate outputs, no resize', async () => {
    await using guest = await startFakeGuest({
      run: (channel) => {
        channel.write('out');
        channel.stderr.write('err');
        channel.exit(0);
        channel.end();
      },
    });
    await using session = await open(guest, { command: 'both' });
    expect(await Promise.all([textOf(session.stream), textOf(session.stderr), session.exit])).toEqual(['out', 'err', 0]);
    expect(guest.seen).toContain('exec both');
    expect(guest.seen.some((line) => line.startsWith('pty'))).toBe(false);
  });

  test('its exit is known, and its output kept, before it is read', async () => {
    await using guest = await startFakeGuest({
      run: (channel) => {
        channel.write('late reader');
        channel.exit(4);
        channel.end();
      },
    });
    await using session = await open(guest, { command: 'x' });
    expect(await session.exit).toBe(4);
    expect(await textOf(session.stream)).toBe('late reader');
  });

  test('input after its end is discarded and does not hang', async () => {
    await using guest = await startFakeGuest({
      run: (channel) => {
        channel.exit(0);
        channel.close();
      },
    });
    await using session = await open(guest, { command: 'true' });
    session.stream.resume();
    expect(await session.exit).toBe(0);
    await pipeline(async function* () {
      for (let n = 0; n < 100; n++) yield Buffer.alloc(64 * 1024);
    }, session.stream);
  });

  test('disposing it ends the remote side and the connection', async () => {
    await using guest = await startFakeGuest({ run: (channel) => void channel.resume() });
    const session = await open(guest, { pty: { columns: 80, rows: 25 } });
    await session[Symbol.asyncDispose]();
    await expect(session.exit).rejects.toMatchObject({ code: 'cancelled' });
    expect(session.stream.destroyed).toBe(true);
    await eventually(() => guest.sockets.size === 0);
  });

  test('a guest that vanishes ends it with the same error on stream and exit', async () => {
    await using guest = await startFakeGuest({ run: (channel) => void channel.write('prompt# ') });
    await using session = await open(guest, { pty: { columns: 80, rows: 25 } });
    await once(session.stream, 'data');
    const reading = finished(session.stream);
    for (const socket of guest.sockets) socket.destroy();
    await expect(session.exit).rejects.toMatchObject({ code: 'guest.unreachable', message: 'The connection to web was lost.' });
    await expect(reading).rejects.toMatchObject({ code: 'guest.unreachable' });
  });

  test('a guest that disconnects ends it too', async () => {
    await using guest = await startFakeGuest({ run: (channel) => void channel.write('prompt# ') });
    await using session = await open(guest, { pty: { columns: 80, rows: 25 } });
    await once(session.stream, 'data');
    for (const connection of guest.connections) connection.end();
    await expect(session.exit).rejects.toMatchObject({ code: 'guest.unreachable' });
  });

  test('a caller that handles only one of them gets no unhandled error from the other', async () => {
    await using guest = await startFakeGuest({ run: () => undefined });
    const session = await open(guest, { command: 'x' });
    for (const socket of guest.sockets) socket.destroy();
    await new Promise((resolve) => session.stream.once('close', resolve));
    await turn();
    expect(session.stream.errored).toMatchObject({ code: 'guest.unreachable' });
  });

  test('abort ends it with the reason', async () => {
    await using guest = await startFakeGuest({ run: (channel) => void channel.resume() });
    const stop = new AbortController();
    await using session = await open(guest, { command: 'sleep', signal: stop.signal });
    stop.abort(new EngineError('vm.not-running', 'VM web was stopped.'));
    await expect(session.exit).rejects.toMatchObject({ code: 'vm.not-running' });
    await eventually(() => guest.sockets.size === 0);
  });

  test('abort before it opens closes the connection too', async () => {
    await using guest = await startFakeGuest();
    await expect(open(guest, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
    await eventually(() => guest.sockets.size === 0);
  });
});

describe('back-pressure', () => {
  test('100 MiB of output never run far ahead of a slow reader', { timeout: 60_000 }, async () => {
    const total = 100 * MiB;
    const chunk = Buffer.alloc(256 * 1024, 'x');
    let sent = 0;
    await using guest = await startFakeGuest({
      run: (channel) => {
        const more = (): void => {
          if (sent === total) {
            channel.exit(0);
            channel.end();
            return;
          }
          channel.write(chunk, () => {
            sent += chunk.length;
            more();
          });
        };
        more();
      },
    });
    await using session = await open(guest, { command: 'cat big' });
    let read = 0;
    let ahead = 0;
    for await (const part of session.stream) {
      read += (part as Buffer).length;
      ahead = Math.max(ahead, sent - read);
      await turn();
    }
    expect(read).toBe(total);
    expect(await session.exit).toBe(0);
    expect(ahead).toBeLessThan(8 * MiB);
  });

  test('without a reader the guest stops when the windows are full', async () => {
    let sent = 0;
    await using guest = await startFakeGuest({
      run: (channel) => {
        const more = (): void => {
          if (sent > 64 * MiB) return;
          channel.write(Buffer.alloc(256 * 1024), () => {
            sent += 256 * 1024;
            more();
          });
        };
        more();
      },
    });
    await using session = await open(guest, { command: 'yes' });
    let before = -1;
    while (sent !== before) {
      before = sent;
      await delay(200);
    }
    expect(sent).toBeLessThan(8 * MiB);
    expect(session.stream.readableLength).toBeLessThan(MiB);
  });

  test('input waits for a guest that takes it slowly', { timeout: 60_000 }, async () => {
    const total = 32 * MiB;
    let taken = 0;
    await using guest = await startFakeGuest({
      run: (channel) => {
        channel.pipe(
          new Writable({
            highWaterMark: 64 * 1024,
            write: (part: Buffer, _encoding, done) => {
              taken += part.length;
              setImmediate(done);
            },
            final: (done) => {
              channel.exit(0);
              channel.end();
              done();
            },
          }),
        );
      },
    });
    await using session = await open(guest, { command: 'cat >file' });
    session.stream.resume();
    let given = 0;
    let ahead = 0;
    await pipeline(
      async function* () {
        while (given < total) {
          given += 128 * 1024;
          ahead = Math.max(ahead, given - taken);
          yield Buffer.alloc(128 * 1024);
        }
      },
      new Writable({
        highWaterMark: 64 * 1024,
        write: (part, _encoding, done) => void (session.stream.write(part) ? done() : session.stream.once('drain', done)),
        final: (done) => {
          session.stream.end();
          done();
        },
      }),
    );
    expect(await session.exit).toBe(0);
    expect(taken).toBe(total);
    expect(ahead).toBeLessThan(8 * MiB);
  });
});
