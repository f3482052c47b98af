import type { Duplex } from 'node:stream';
import { EngineError } from '../../../src-shared/errors.ts';

/** Opens a TCP connection to a guest: `Host.dial`, passed in so that this folder knows no host. */
export type Dial = (
  address: string,
  port: number,
  options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal | undefined },
) => Promise<Duplex>;

/** Why a guest could not be reached or would not let us in; in `details.reason` of the errors of this folder. */
export type Refusal = 'refused' | 'no-answer' | 'closed' | 'login' | 'host-key' | 'algorithms' | 'not-ssh';

/** What an aborted signal means: the EngineError it was aborted with (a VM that stopped), else `cancelled`. */
export function abortError(signal: AbortSignal): EngineError {
  const reason: unknown = signal.reason;
  return reason instanceof EngineError ? reason : new EngineError('cancelled', 'Cancelled.', { cause: reason });
}

/** Why a dial failed, read from what the host's adapter said. */
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
