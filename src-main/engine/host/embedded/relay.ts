import { rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import { drop, type Log } from '../../core/log.ts';
import { sleep } from '../../core/until.ts';

/** How long a relay may take to start (or restart) before the host counts as gone. */
const RELAY_START_MS = 5000;
const DEFAULT_DIAL_MS = 10_000;
/** Pause between attempts to listen again. */
const AGAIN_MS = 500;

/** A relay's address, and whether it is still worth waiting for. */
export interface RelayEndpoint {
  readonly socketPath: string;
  /** False once the host has ended. */
  alive(): boolean;
  /** Fixes whatever keeps a relay from starting; called when it does not answer. */
  repair(): void;
}

type Request =
  | { readonly op: 'dial'; readonly address: string; readonly port: number; readonly timeoutMs: number }
  | { readonly op: 'listen'; readonly address: string; readonly port: number; readonly path: string };

/**
 * Opens a TCP connection inside the host. `guest.unreachable` when the address refuses, has no route or does not answer in time;
 * `host.unavailable` when the host is gone; `cancelled` on abort.
 */
export async function dialThroughRelay(
  endpoint: RelayEndpoint,
  address: string,
  port: number,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Duplex> {
  const timeoutMs = options.timeoutMs ?? DEFAULT_DIAL_MS;
  const socket = await reachRelay(endpoint, options.signal);
  const answer = await ask(socket, { op: 'dial', address, port, timeoutMs }, options.signal);
  if (answer.startsWith('ok')) return socket;
  socket.destroy();
  throw unreachable(address, port, answer.slice(4) || 'the relay ended');
}

/** The error of a failed connection to an address inside. `reason` is an errno name or a few words. */
export function unreachable(address: string, port: number, reason: string): EngineError {
  const words: Record<string, string> = {
    ECONNREFUSED: 'nothing listens there',
    EHOSTUNREACH: 'no such host on the network',
    ENETUNREACH: 'no route to it',
    ETIMEDOUT: 'no answer in time',
  };
  return new EngineError('guest.unreachable', `No connection to ${address} port ${port}: ${words[reason] ?? reason}.`, {
    details: { address, port, reason },
  });
}

/**
 * Listens inside the host; passes every connection to `onConnection`, which must end it (the stream stays half-open when the peer has
 * finished sending). Survives a restart of the relay; ends with the host or when disposed.
 */
export async function listenThroughRelay(
  endpoint: RelayEndpoint,
  listen: {
    readonly address: string;
    readonly port: number;
    readonly path: string;
    /** What the relay calls `path`, where it is on another machine. */
    readonly farPath?: string;
  },
  onConnection: (stream: Duplex) => void,
  log: Log,
): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    socket.on('error', () => socket.destroy());
    onConnection(socket);
  });
  rmSync(listen.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.path, resolve);
  });
  const ended = new AbortController();
  let control: Socket | undefined;
  async function dispose(): Promise<void> {
    if (ended.signal.aborted) return;
    ended.abort();
    control?.destroy();
    for (const socket of open) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
    rmSync(listen.path, { force: true });
  }
  /** Asks the relay to listen, and again each time the relay has gone away. */
  async function connectControl(): Promise<void> {
    const socket = await reachRelay(endpoint, ended.signal);
    const { address, port, farPath } = listen;
    const answer = await ask(socket, { op: 'listen', address, port, path: farPath ?? listen.path }, ended.signal);
    if (!answer.startsWith('ok')) {
      socket.destroy();
      throw listenError(listen.address, listen.port, answer.slice(4) || 'the relay ended');
    }
    control = socket;
    socket.resume();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => drop(listenAgain(), log, `Listening on ${listen.address} port ${listen.port} again`));
  }
  /** Retries until it works: a busy machine may take long to start a relay, and listeners were promised to survive that. */
  async function listenAgain(): Promise<void> {
    while (!ended.signal.aborted && endpoint.alive()) {
      try {
        await connectControl();
        return;
      } catch (error) {
        if (isCancelled(error)) return;
        log.warn(`${error instanceof Error ? error.message : String(error)} Trying again.`);
        await sleep(AGAIN_MS, ended.signal).catch(() => undefined); // disposed: the loop sees it
      }
    }
  }
  try {
    await connectControl();
  } catch (error) {
    await dispose();
    throw error;
  }
  return { [Symbol.asyncDispose]: dispose };
}

/** The error of an address that cannot be listened on. `reason` is an errno name or a few words. */
export function listenError(address: string, port: number, reason: string): EngineError {
  if (reason === 'EADDRINUSE')
    return new EngineError('host.unavailable', `Port ${port} of ${address} is already in use.`, { details: { address, port } });
  if (reason === 'EADDRNOTAVAIL') {
    return new EngineError('host.unavailable', `${address} is not an address of the environment's networks.`, {
      details: { address, port },
      hint: 'Start the network first.',
    });
  }
  return new EngineError('host.unavailable', `Could not listen on ${address} port ${port}: ${reason}.`, {
    details: { address, port, reason },
  });
}

async function reachRelay(endpoint: RelayEndpoint, signal: AbortSignal | undefined): Promise<Socket> {
  const deadline = Date.now() + RELAY_START_MS;
  for (;;) {
    signal?.throwIfAborted();
    const socket = await connectOnce(endpoint.socketPath);
    if (!(socket instanceof Error)) return socket;
    if (!endpoint.alive())
      throw new EngineError('host.unavailable', "The environment's host does not run.", { cause: socket, hint: 'Start the environment.' });
    endpoint.repair();
    if (Date.now() > deadline) {
      throw new EngineError('host.unavailable', "The relay into the environment's networks does not answer.", {
        cause: socket,
        details: { socket: endpoint.socketPath },
        hint: 'Stop the environment and start it again.',
      });
    }
    await sleep(20, signal);
  }
}

async function connectOnce(path: string): Promise<Socket | Error> {
  return await new Promise((resolve) => {
    const socket = connect({ path });
    const onError = (error: Error): void => resolve(error);
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

/** Sends a request and reads the reply line; '' when the relay closed instead. Data after the line stays in the stream. */
async function ask(socket: Socket, request: Request, signal: AbortSignal | undefined): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    let received = Buffer.alloc(0);
    const settle = (): void => {
      socket.off('readable', onReadable);
      socket.off('error', onEnd);
      socket.off('close', onEnd);
      signal?.removeEventListener('abort', onAbort);
    };
    const onEnd = (): void => {
      settle();
      resolve('');
    };
    const onAbort = (): void => {
      settle();
      socket.destroy();
      reject(new EngineError('cancelled', `Cancelled while connecting to ${request.address}.`));
    };
    const onReadable = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) {
        received = Buffer.concat([received, chunk]);
        const end = received.indexOf(10);
        if (end < 0) continue;
        settle();
        const rest = received.subarray(end + 1);
        if (rest.length > 0) socket.unshift(rest);
        resolve(received.subarray(0, end).toString('utf8'));
        return;
      }
    };
    socket.on('readable', onReadable);
    socket.on('error', onEnd);
    socket.on('close', onEnd);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.write(`${JSON.stringify(request)}\n`);
    if (signal?.aborted) onAbort();
  });
}
