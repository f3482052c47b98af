import { createConnection, type Socket } from 'node:net';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { CallOptions } from '../hypervisor.ts';
import { type ConnectionOptions, RpcConnection } from './connection.ts';
import { LIBVIRT_ERROR, procedures } from './protocol.ts';
import { connectByBuiltInSsh } from './ssh-client.ts';
import { connectBySshProgram, type SshLine } from './ssh-program.ts';
import { type LibvirtTarget, type SshTarget, START_DAEMON } from './uri.ts';

const AUTH_NONE = 0;
const AUTH_POLKIT = 2;

/** Bytes read at once. */
const READ_SIZE = 64 * 1024;

/** For log-in, the far side's programs and the first answer. */
const SSH_TIMEOUT_MS = 30_000;

/** The user may have to type a password. */
const POLKIT_TIMEOUT_MS = 2 * 60_000;

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** A connected socket and the receiver of its bytes. */
interface Line {
  readonly socket: Socket;
  feed: (chunk: Buffer, size: number) => void;
}

async function connectSocket(path: string, signal: AbortSignal | undefined): Promise<Line> {
  if (signal?.aborted === true) throw new EngineError('cancelled', 'Connecting to libvirt was cancelled.');
  return await new Promise((resolve, reject) => {
    const buffer = Buffer.allocUnsafeSlow(READ_SIZE);
    const socket = createConnection({
      path,
      onread: {
        buffer,
        callback: (size) => {
          line.feed(buffer, size);
          return true;
        },
      },
    });
    const line: Line = { socket, feed: () => undefined };
    const stop = (): void => {
      socket.destroy();
      reject(new EngineError('cancelled', 'Connecting to libvirt was cancelled.'));
    };
    const settled = (): void => signal?.removeEventListener('abort', stop);
    signal?.addEventListener('abort', stop, { once: true });
    socket.once('connect', () => {
      settled();
      socket.removeAllListeners('error');
      resolve(line);
    });
    socket.once('error', (error) => {
      settled();
      reject(error);
    });
  });
}

/** The first socket that answers. */
async function connectAny(target: LibvirtTarget, signal: AbortSignal | undefined): Promise<Line> {
  let last: unknown;
  for (const path of target.sockets) {
    try {
      return await connectSocket(path, signal);
    } catch (error) {
      const code = codeOf(error);
      if (code === 'EACCES' || code === 'EPERM') {
        throw new EngineError('host.denied', `You may not use libvirt's socket ${path}.`, {
          hint: 'Add your user to the group libvirt (sudo usermod -aG libvirt $USER), log out and log in again.',
          details: { socket: path, error: code },
          cause: error,
        });
      }
      if (code !== 'ENOENT' && code !== 'ECONNREFUSED' && code !== 'ENOTSOCK' && code !== 'ENOTDIR') throw error;
      last = error;
    }
  }
  throw new EngineError('host.unavailable', `libvirt does not answer at ${target.sockets.join(' or ')}.`, {
    hint: target.name.endsWith('///session')
      ? 'Install libvirt-daemon and start it with: libvirtd --daemon'
      : `Install libvirt-daemon-system and start it with: ${START_DAEMON}`,
    details: { uri: target.uri, error: codeOf(last) },
    cause: last,
  });
}

async function authenticate(connection: RpcConnection, options: CallOptions): Promise<void> {
  const { types } = await connection.call(procedures.authList, undefined, 'Connecting to libvirt', options);
  if (types.length === 0 || types.includes(AUTH_NONE)) return;
  if (!types.includes(AUTH_POLKIT)) {
    throw new EngineError('host.denied', 'libvirt asks for a user name and password (SASL), which Lago does not support.', {
      hint: 'Set auth_unix_rw = "none" or "polkit" in libvirtd.conf.',
    });
  }
  try {
    await connection.call(procedures.authPolkit, undefined, 'Asking polkit for the right to use libvirt', {
      ...options,
      timeoutMs: POLKIT_TIMEOUT_MS,
    });
  } catch (error) {
    throw polkitError(error);
  }
}

function polkitError(error: unknown): unknown {
  if (!(error instanceof EngineError)) return error;
  const hint = 'Add your user to the group libvirt (sudo usermod -aG libvirt $USER), log out and log in again.';
  switch (error.details['libvirtCode']) {
    case LIBVIRT_ERROR.authUnavailable:
      return new EngineError('host.denied', 'libvirt asks polkit, and there is no polkit agent here that could ask you for a password.', {
        hint,
        details: error.details,
        cause: error,
      });
    case LIBVIRT_ERROR.authFailed:
    case LIBVIRT_ERROR.authCancelled:
    case LIBVIRT_ERROR.accessDenied:
      return new EngineError('host.denied', 'polkit did not give you the right to use libvirt.', {
        hint,
        details: error.details,
        cause: error,
      });
    default:
      return error;
  }
}

/**
 * A connection on which the target is open. Rejects with `host.denied` (socket, polkit or ssh), `host.unavailable` (no daemon; the hint
 * says how to start it), `hypervisor.failed` (the daemon refuses the URI) or `cancelled`.
 */
export async function dialLibvirt(target: LibvirtTarget, how: ConnectionOptions, options: CallOptions = {}): Promise<RpcConnection> {
  if (target.ssh !== undefined) return await dialRemote(target, target.ssh, how, options);
  const line = await connectAny(target, options.signal);
  const connection = new RpcConnection(line.socket, { ...how, fed: true });
  line.feed = (chunk, size) => connection.receive(chunk, size);
  return await open(connection, target, options);
}

async function open(connection: RpcConnection, target: LibvirtTarget, options: CallOptions): Promise<RpcConnection> {
  try {
    await authenticate(connection, options);
    await connection.call(procedures.connectOpen, { name: target.name, flags: 0 }, `Opening ${target.name}`, options);
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** By the chosen ssh client; where the far side has no program that leads to the socket, the built-in client opens it by itself. */
async function dialRemote(target: LibvirtTarget, ssh: SshTarget, how: ConnectionOptions, options: CallOptions): Promise<RpcConnection> {
  if (ssh.client === 'built-in') return await openLine(await connectByBuiltInSsh(target, ssh, options.signal), target, how, options);
  try {
    return await openLine(connectBySshProgram(target, ssh), target, how, options);
  } catch (error) {
    if (!(error instanceof EngineError) || error.details['reason'] !== 'no-tool') throw error;
    try {
      return await openLine(await connectByBuiltInSsh(target, ssh, options.signal), target, how, options);
    } catch (second) {
      if (isCancelled(second)) throw second;
      throw error;
    }
  }
}

async function openLine(line: SshLine, target: LibvirtTarget, how: ConnectionOptions, options: CallOptions): Promise<RpcConnection> {
  // Pings begin later: a log-in may take longer than a daemon may be silent.
  const { keepalive, ...rest } = how;
  try {
    const connection = await open(new RpcConnection(line.stream, rest), target, { timeoutMs: SSH_TIMEOUT_MS, ...options });
    if (keepalive !== undefined) connection.watch(keepalive);
    return connection;
  } catch (error) {
    throw error instanceof EngineError && error.code === 'hypervisor.disconnected' ? await line.failure() : error;
  }
}
