import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket, type Server as TcpServer } from 'node:net';
import type { Duplex } from 'node:stream';
import ssh2, { type AuthContext, type Connection, type ServerChannel } from 'ssh2';
import { EngineError } from '../../../src-shared/errors.ts';
import { abortError, type Dial } from './dial.ts';
import type { HostKeys } from './host-keys.ts';
import { generateEd25519 } from './keys.ts';

/** An ssh server on loopback that acts as a guest, for tests. */
export interface FakeGuest extends AsyncDisposable {
  readonly port: number;
  /** Log of events, in order. */
  readonly seen: string[];
  /** Currently open sockets. */
  readonly sockets: ReadonlySet<Socket>;
  readonly connections: ReadonlySet<Connection>;
  /** What each connection was encrypted with, in order. */
  readonly ciphers: readonly string[];
}

export interface FakeGuestOptions {
  readonly hostKey?: string;
  readonly authenticate?: (context: AuthContext) => void;
  /** Runs a client's command; `command` is undefined for a login shell. */
  readonly run?: (channel: ServerChannel, command: string | undefined) => void;
  /** Where a connection that the client asks for leads; undefined refuses it. */
  readonly forward?: (host: string, port: number) => Duplex | undefined;
  /** Handles a raw connection instead of ssh. */
  readonly raw?: (socket: Socket) => void;
  readonly port?: number;
}

/** Accepts any key unless `authenticate` says otherwise. */
export async function startFakeGuest(options: FakeGuestOptions = {}): Promise<FakeGuest> {
  const seen: string[] = [];
  const ciphers: string[] = [];
  const sockets = new Set<Socket>();
  const connections = new Set<Connection>();
  const hostKey = options.hostKey ?? (await generateEd25519('host')).privateKey;
  const ssh = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    connections.add(client);
    client.on('error', (error) => seen.push(`error: ${error.message}`));
    client.on('handshake', ({ cs }) => ciphers.push(cs.cipher));
    client.on('close', () => connections.delete(client));
    client.on('authentication', (context) => {
      seen.push(`auth ${context.method} ${context.username}`);
      if (options.authenticate !== undefined) options.authenticate(context);
      else if (context.method === 'publickey') context.accept();
      else context.reject(['publickey']);
    });
    client.on('tcpip', (accept, reject, { destIP, destPort }) => {
      seen.push(`forward ${destIP}:${destPort}`);
      const far = options.forward?.(destIP, destPort);
      if (far === undefined) reject();
      else {
        const near = accept();
        near.pipe(far).pipe(near);
      }
    });
    client.on('session', (accept) => {
      const session = accept();
      const start = (channel: ServerChannel, command: string | undefined): void => {
        seen.push(command === undefined ? 'shell' : `exec ${command}`);
        channel.on('error', (error: Error) => seen.push(`channel: ${error.message}`));
        options.run?.(channel, command);
      };
      session.on('pty', (acceptPty, _reject, info) => {
        seen.push(`pty ${info.cols}x${info.rows} ${(info as { term?: string }).term ?? ''}`);
        acceptPty();
      });
      session.on('window-change', (_accept, _reject, info) => seen.push(`resize ${info.cols}x${info.rows}`));
      session.on('exec', (acceptExec, _reject, info) => start(acceptExec(), info.command));
      session.on('shell', (acceptShell) => start(acceptShell(), undefined));
    });
  });
  const server: TcpServer = createServer((socket) => {
    sockets.add(socket);
    seen.push('connected');
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', (error) => seen.push(`socket: ${error.message}`));
    if (options.raw !== undefined) options.raw(socket.resume());
    else ssh.injectSocket(socket);
  });
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    seen,
    sockets,
    connections,
    ciphers,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** Dials loopback like a host, with its errors. `through` may replace the stream. */
export function loopbackDial(through: (socket: Socket) => Duplex = (socket) => socket): Dial {
  return async (address, port, options = {}) => {
    const socket = connect({ host: address, port, allowHalfOpen: true });
    const { signal, timeoutMs = 10_000 } = options;
    const stop = AbortSignal.any([AbortSignal.timeout(timeoutMs), ...(signal === undefined ? [] : [signal])]);
    try {
      await once(socket, 'connect', { signal: stop });
      return through(socket);
    } catch (error) {
      socket.destroy();
      if (signal?.aborted) throw abortError(signal);
      throw new EngineError('guest.unreachable', `Could not connect to ${address}.`, { cause: error });
    }
  };
}

/** Host keys kept in memory. */
export function memoryHostKeys(): Pick<HostKeys, 'check' | 'pin'> & { readonly keys: Map<string, Uint8Array> } {
  const keys = new Map<string, Uint8Array>();
  return {
    keys,
    check: async (vm, key) => {
      const pinned = keys.get(vm);
      if (pinned === undefined) return 'new';
      if (Buffer.compare(pinned, key) === 0) return 'same';
      throw new EngineError('guest.refused', `The ssh host key of ${vm} has changed.`, { details: { reason: 'host-key' } });
    },
    pin: async (vm, key) => void keys.set(vm, key),
  };
}
