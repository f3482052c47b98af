import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, silentLog } from '../core/log.ts';
import { type ChannelRequest, openChannel } from './channel.ts';
import type { SshConnection } from './ssh.ts';

/** How long a terminal's guest may be silent before its session ends. A revert restarts QEMU without closing the old connection. */
export const TERMINAL_KEEPALIVE_MS = 6000;

/** An interactive or one-shot session in a VM, in the engine's form (`ShellSession`). */
export interface GuestSession extends AsyncDisposable {
  /** stdin and stdout, with back-pressure; destroyed with the error of `exit` when the connection is lost. */
  readonly stream: Duplex;
  /** Only without a pty; must be read. */
  readonly stderr: NodeJS.ReadableStream | undefined;
  resize(columns: number, rows: number): void;
  /** Exit status of the remote side, or 128 + signal. Rejects with `guest.unreachable` on a lost connection, `cancelled` on abort. */
  readonly exit: Promise<number>;
}

/**
 * Opens a session on a connection and takes ownership of it: the connection is closed when the session ends. Connect with `keepaliveMs:
 * TERMINAL_KEEPALIVE_MS` so that a vanished guest ends it within seconds. Rejects like `openChannel`, also closing the connection.
 */
export async function openShellSession(connection: SshConnection, request: ChannelRequest): Promise<GuestSession> {
  try {
    const channel = await openChannel(connection.client, connection.lost, request);
    drop(closeAfter(channel.exit, connection), silentLog, 'session');
    return {
      stream: channel.stream,
      stderr: channel.stderr,
      resize: channel.resize,
      exit: channel.exit,
      async [Symbol.asyncDispose]() {
        channel.close(new EngineError('cancelled', `The session in ${connection.vm} was closed.`));
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}

async function closeAfter(exit: Promise<number>, connection: SshConnection): Promise<void> {
  try {
    await exit;
  } finally {
    await connection.close();
  }
}
