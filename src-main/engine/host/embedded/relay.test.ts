import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Duplex } from 'node:stream';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { silentLog } from '../../core/log.ts';
import { until } from '../../core/until.ts';
import { dialThroughRelay, listenThroughRelay, type RelayEndpoint } from './relay.ts';

const program = resolve(import.meta.dirname, '../../../../resources/host/relay.cjs');
let folder = '';
let relay: ChildProcess;
let endpoint: RelayEndpoint;
let alive = true;
let repairs = 0;
const servers: Server[] = [];

function startRelay(): ChildProcess {
  return spawn(process.execPath, [program, endpoint.socketPath], { stdio: 'inherit' });
}

async function endRelay(): Promise<void> {
  if (relay.exitCode !== null || relay.signalCode !== null) return;
  const ended = once(relay, 'exit');
  relay.kill('SIGKILL');
  await ended;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lago-relay-'));
  alive = true;
  repairs = 0;
  endpoint = { socketPath: join(folder, 'r.sock'), alive: () => alive, repair: () => void repairs++ };
  // Dialling waits for a relay that is still starting.
  relay = startRelay();
});

afterEach(async () => {
  await endRelay();
  for (const server of servers.splice(0)) server.close();
  rmSync(folder, { recursive: true, force: true });
});

async function serve(onConnection: (socket: Socket) => void, options: { allowHalfOpen?: boolean } = {}): Promise<number> {
  const server = createServer(options, onConnection);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function readAll(stream: Duplex | Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

test('carries bytes both ways, also those sent at once', async () => {
  const port = await serve((socket) => {
    socket.write('SSH-2.0-hello\n');
    socket.pipe(socket);
  });
  const stream = await dialThroughRelay(endpoint, '127.0.0.1', port);
  const sent = Buffer.alloc(2_000_000, 'abcdefg');
  stream.end(sent);
  expect((await readAll(stream)).equals(Buffer.concat([Buffer.from('SSH-2.0-hello\n'), sent]))).toBe(true);
});

test('one side can finish before the other', async () => {
  const port = await serve(
    (socket) => {
      let size = 0;
      socket.on('data', (chunk) => (size += chunk.length));
      socket.on('end', () => socket.end(`got ${size}`));
    },
    { allowHalfOpen: true },
  );
  const stream = await dialThroughRelay(endpoint, '127.0.0.1', port);
  stream.end('12345');
  expect(String(await readAll(stream))).toBe('got 5');
});

test('a broken connection closes the other end', async () => {
  const port = await serve((socket) => void socket.once('data', () => socket.resetAndDestroy()));
  const stream = await dialThroughRelay(endpoint, '127.0.0.1', port);
  stream.on('error', () => undefined);
  stream.resume();
  stream.write('x');
  if (!stream.destroyed) await once(stream, 'close');
  const { promise, resolve: closed } = deferred();
  const second = await serve((socket) => void socket.on('error', () => undefined).on('close', () => closed()));
  (await dialThroughRelay(endpoint, '127.0.0.1', second)).destroy();
  await promise;
});

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let settle = (): void => undefined;
  const promise = new Promise<void>((done) => (settle = done));
  return { promise, resolve: settle };
}

test('reports that nothing listens', async () => {
  const port = await freePort();
  await expect(dialThroughRelay(endpoint, '127.0.0.1', port)).rejects.toMatchObject({
    code: 'guest.unreachable',
    message: `No connection to 127.0.0.1 port ${port}: nothing listens there.`,
  });
});

test('reports that the host is gone, but waits for a restarting relay', async () => {
  await endRelay();
  alive = false;
  await expect(dialThroughRelay(endpoint, '127.0.0.1', 1)).rejects.toMatchObject({ code: 'host.unavailable' });
  alive = true;
  const port = await serve((socket) => socket.end('back'));
  const dialing = dialThroughRelay(endpoint, '127.0.0.1', port);
  await until(async () => repairs > 2 || undefined, { everyMs: 5, timeoutMs: 5000, failure: () => new Error('no repair') as never });
  relay = startRelay();
  expect(String(await readAll(await dialing))).toBe('back');
});

test('can be cancelled while it waits', async () => {
  await endRelay();
  const stop = new AbortController();
  const dialing = dialThroughRelay(endpoint, '127.0.0.1', 1, { signal: stop.signal });
  stop.abort();
  await expect(dialing).rejects.toSatisfy(
    (error: Error) => error.name === 'AbortError' || (error as { code?: string }).code === 'cancelled',
  );
});

test('listens, hands connections over, and stops listening when disposed', async () => {
  const port = await freePort();
  const path = join(folder, 'l.sock');
  const listening = await listenThroughRelay(
    endpoint,
    { address: '127.0.0.1', port, path },
    (stream) => void stream.pipe(stream),
    silentLog,
  );
  const client = connect(port, '127.0.0.1');
  client.end('echo');
  expect(String(await readAll(client))).toBe('echo');
  await expect(
    listenThroughRelay(endpoint, { address: '127.0.0.1', port, path: join(folder, 'm.sock') }, () => undefined, silentLog),
  ).rejects.toMatchObject({
    code: 'host.unavailable',
    message: `Port ${port} of 127.0.0.1 is already in use.`,
  });
  expect(existsSync(join(folder, 'm.sock'))).toBe(false);
  await listening[Symbol.asyncDispose]();
  await listening[Symbol.asyncDispose]();
  expect(existsSync(path)).toBe(false);
  await until(() => refused(port), { everyMs: 5, timeoutMs: 5000, failure: () => new Error('still listening') as never });
});

async function refused(port: number): Promise<true | undefined> {
  const socket = connect(port, '127.0.0.1');
  return await new Promise((done) => {
    socket.on('error', () => done(true));
    socket.on('connect', () => {
      socket.destroy();
      done(undefined);
    });
  });
}

test('listens again after the relay was started again', { timeout: 90_000 }, async () => {
  const port = await freePort();
  const listening = await listenThroughRelay(
    endpoint,
    { address: '127.0.0.1', port, path: join(folder, 'l.sock') },
    (stream) => stream.end('hi'),
    silentLog,
  );
  await endRelay();
  relay = startRelay();
  await until(async () => ((await refused(port)) === true ? undefined : true), {
    everyMs: 10,
    timeoutMs: 60_000,
    failure: () => new Error('not listening') as never,
  });
  expect(String(await readAll(connect(port, '127.0.0.1')))).toBe('hi');
  await listening[Symbol.asyncDispose]();
});

test.each(['not json\n', '{"op":"exec"}\n', `${'x'.repeat(5000)}`])('refuses what it does not know: %.12j', async (text) => {
  (await dialThroughRelay(endpoint, '127.0.0.1', await serve((socket) => socket.end()))).destroy();
  const socket = connect(endpoint.socketPath);
  socket.write(text);
  expect(String(await readAll(socket))).toBe(text.length > 4096 ? '' : 'err EPROTO\n');
});
