import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';

/** Opens a TCP connection to a guest: `Host.dial`, passed in so that this folder does not depend on hosts. */
export type Dial = (
  address: string,
  port: number,
  options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined },
) => Promise<Duplex>;

/** Why a guest could not be reached or refused the login; in `details.reason` of this folder's errors. */
export type Refusal = 'refused' | 'no-answer' | 'closed' | 'login' | 'host-key' | 'algorithms' | 'not-ssh';

/** The error for an aborted signal: its reason if that is an EngineError (a VM that stopped), else `cancelled`. */
export function abortError(signal: AbortSignal): EngineError {
  const reason: unknown = signal.reason;
  return reason instanceof EngineError ? reason : new EngineError('cancelled', 'Cancelled.', { cause: reason });
}

/** Why a dial failed, taken from the host adapter's error. */
export function dialRefusal(error: unknown): Refusal {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const details = at instanceof EngineError ? Object.values(at.details).join(' ') : '';
    const { code } = at as NodeJS.ErrnoException;
    const text = `${code ?? ''} ${details} ${at.message}`;
    if (/ECONNREFUSED|refused/i.test(text)) return 'refused';
    if (/ECONNRESET|EPIPE/.test(text)) return 'closed';
  }
  return 'no-answer';
}
