import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { confinement } from './embedded/confine.ts';
import { unreachable } from './embedded/relay.ts';

const DEFAULT_DIAL_MS = 10_000;

/**
 * Opens a TCP connection from this machine's own network. `guest.unreachable` (refused, no route, timeout), `cancelled`, and in confined
 * runs `host.denied` for any address but this machine's own.
 */
export async function dialFromMachine(
  address: string,
  port: number,
  options: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined } = {},
): Promise<Duplex> {
  const { timeoutMs = DEFAULT_DIAL_MS, signal } = options;
  confinement().checkDial(address);
  signal?.throwIfAborted();
  return await new Promise<Duplex>((resolve, reject) => {
    const socket = connect({ host: address, port, noDelay: true });
    const settle = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
    };
    const fail = (error: unknown): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const onError = (error: NodeJS.ErrnoException): void => fail(unreachable(address, port, error.code ?? error.message));
    const onAbort = (): void => fail(new EngineError('cancelled', `Cancelled while connecting to ${address}.`));
    const timer = setTimeout(() => fail(unreachable(address, port, 'ETIMEDOUT')), timeoutMs);
    socket.once('error', onError);
    signal?.addEventListener('abort', onAbort, { once: true });
    socket.once('connect', () => {
      settle();
      resolve(socket);
    });
  });
}
