import { EngineError } from '../../../../src-shared/errors.ts';
import { shownUrl } from '../../core/download/shown-url.ts';

/** Why one attempt at one mirror failed. Another attempt, or another mirror, may succeed. */
export class AttemptFailure extends Error {
  override readonly name = 'AttemptFailure';
  /**
   * `missing`: the server has no such file; `refused`: it does not give it; `untrusted`: nothing says that it is the server; `wrong`: it sent something
   * else; `dropped`: the rest.
   */
  readonly kind: 'missing' | 'refused' | 'untrusted' | 'wrong' | 'dropped';

  constructor(kind: AttemptFailure['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
  }
}

/** What node and OpenSSL say of a certificate that is not right: it will not be right in a moment either. */
const CERTIFICATE = /^(?:CERT_|ERR_TLS_CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_SELF_SIGNED_|HOSTNAME_MISMATCH$|INVALID_(?:CA|PURPOSE)$)/;
/** The server's answer to a client certificate that is missing, or that it does not accept. */
const CLIENT_CERTIFICATE = /^ERR_SSL_\w*ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/;

/** Possibly temporary: too slow, too many requests, overloaded, restarting. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** What a status says, undefined when it has a body that is wanted. */
export function failureOfStatus(status: number): AttemptFailure | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 404 || status === 410) return new AttemptFailure('missing', `the server has no such file (status ${status})`);
  if (status === 407) return new AttemptFailure('refused', 'the proxy wants a login (status 407)');
  const kind = PASSING.has(status) || status === 416 ? 'dropped' : 'refused';
  return new AttemptFailure(kind, `the server answers with status ${status}`);
}

/** An error of a connection or of reading its answer as a failed attempt. */
export function asAttemptFailure(error: unknown): AttemptFailure {
  if (error instanceof AttemptFailure) return error;
  const { message, code, name } = error as NodeJS.ErrnoException;
  if (CERTIFICATE.test(code ?? ''))
    return new AttemptFailure('untrusted', `the certificate of the server is not trusted (${message})`, error);
  if (CLIENT_CERTIFICATE.test(code ?? '')) {
    return new AttemptFailure('refused', `the server does not accept the client certificate, or wants one (${code})`, error);
  }
  return new AttemptFailure('dropped', message === '' ? (code ?? name) : message, error);
}

/** What the user reads when no attempt succeeded: of the last failure. */
export function gaveUp(failure: AttemptFailure, url: URL, attempts: number, mirrors: number): EngineError {
  const where = mirrors > 1 ? `, nor from the other mirrors (${mirrors} in all)` : '';
  const details = { url: shownUrl(url), attempts };
  const message = `${shownUrl(url)} cannot be fetched${where}: ${failure.message}.`;
  switch (failure.kind) {
    case 'wrong':
      return new EngineError('remote.hash-mismatch', message, {
        cause: failure,
        details,
        hint: 'The server may be in the middle of an update, or damaged: try again later, or use another mirror.',
      });
    case 'missing':
      return new EngineError('remote.invalid', message, { cause: failure, details, hint: 'Check the address of the repository.' });
    case 'refused':
      return new EngineError('remote.invalid', message, {
        cause: failure,
        details,
        hint: 'It may want a login or a client certificate, allow it to others only, or be at another address now.',
      });
    case 'untrusted':
      return new EngineError('remote.invalid', message, {
        cause: failure,
        details,
        hint: 'If its certificate is by an authority of your own, name that in sslcacert, or make this machine trust it.',
      });
    default:
      return new EngineError('remote.unreachable', message, {
        cause: failure,
        details,
        hint: 'Check the network connection and the proxy settings, then try again: what was fetched is kept.',
      });
  }
}

/** Of what `gaveUp` has made: why no attempt succeeded. Undefined for other errors. */
export function failureKind(error: unknown): AttemptFailure['kind'] | undefined {
  return error instanceof EngineError && error.cause instanceof AttemptFailure ? error.cause.kind : undefined;
}
