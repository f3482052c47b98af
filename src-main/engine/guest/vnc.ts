import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';
import { abortError } from './dial.ts';

/**
 * Connects to a VM's VNC socket and returns the raw RFB stream. Rejects with `vm.not-running` (no socket, or no listener), `host.denied`,
 * or `cancelled`. The caller then owns the stream and handles its errors.
 */
export async function connectScreen(
  socketPath: string,
  options: { readonly vm: string; readonly signal?: AbortSignal | undefined },
): Promise<Duplex> {
  const { vm, signal } = options;
  if (signal?.aborted) throw abortError(signal);
  return await new Promise<Duplex>((resolve, reject) => {
    const socket = connect({ path: socketPath });
    const onAbort = (): void => {
      socket.destroy();
      reject(abortError(signal as AbortSignal));
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const onError = (error: NodeJS.ErrnoException): void => {
      signal?.removeEventListener('abort', onAbort);
      reject(explain(error, socketPath, vm));
    };
    socket.once('error', onError);
    socket.once('connect', () => {
      signal?.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function explain(error: NodeJS.ErrnoException, path: string, vm: string): EngineError {
  const details = { path, errno: error.code ?? '' };
  switch (error.code) {
    case 'ENOENT':
    case 'ECONNREFUSED':
      return new EngineError('vm.not-running', `VM ${vm} has no screen: it is not running.`, {
        cause: error,
        details,
        hint: `Start ${vm}, then open its screen again.`,
      });
    case 'EACCES':
    case 'EPERM':
      return new EngineError('host.denied', `No permission to open the screen of ${vm}.`, { cause: error, details });
    default:
      return new EngineError('host.unavailable', `The screen of ${vm} cannot be opened: ${error.message}.`, { cause: error, details });
  }
}
