/**
 * The closed list of error codes. The family (before the dot) decides the CLI's exit code and the tone of the message:
 * `input` fix the request, `host` fix the machine, `conflict` wait or free something, `remote` a retry may help,
 * `guest` look at the VM, `hypervisor` libvirt refused, `plugin` one of the user's plugins failed.
 */
export const ERROR_CODES = [
  'input.invalid',
  'input.usage',
  'input.missing-file',
  'prefix.exists',
  'prefix.missing',
  'workdir.missing',
  'workdir.malformed',
  'vm.missing',
  'vm.not-running',
  'snapshot.missing',
  'snapshot.exists',
  'snapshot.unsupported',
  'template.missing',
  'not-available',
  'host.missing-tool',
  'host.denied',
  'host.no-space',
  'host.unavailable',
  'host.unusable',
  'conflict.locked',
  'conflict.subnet',
  'conflict.taken',
  'remote.unreachable',
  'remote.invalid',
  'remote.hash-mismatch',
  'guest.unreachable',
  'guest.refused',
  'guest.failed',
  'hypervisor.failed',
  'hypervisor.disconnected',
  'plugin.failed',
  'cancelled',
  'internal',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

export interface EngineErrorOptions {
  /** Facts for a bug report, collapsed by default: command, stderr, libvirt's code and domain, file, line. Never a secret. */
  readonly details?: Readonly<Record<string, string | number | boolean | null>>;
  /** What the user can do next: one sentence, shown beside the message. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The only error class that leaves the engine. `message` says what failed on which object; `hint` what to do next. */
export class EngineError extends Error {
  override readonly name = 'EngineError';
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: EngineErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.hint = options.hint;
  }
}

/** An error as it crosses a process boundary. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly details: Readonly<Record<string, string | number | boolean | null>>;
}

/** True when `error` means "the user (or a signal) cancelled", whatever layer threw it. */
export function isCancelled(error: unknown): boolean {
  if (error instanceof EngineError) return error.code === 'cancelled';
  return error instanceof Error && error.name === 'AbortError';
}

/** Converts any thrown value: cancellations become `cancelled`, unknown errors `internal` with the stack in `details`. */
export function toEngineError(error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  if (isCancelled(error)) return new EngineError('cancelled', 'Cancelled.', { cause: error });
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  return new EngineError('internal', message, { cause: error, details: { stack } });
}

/** An error as a plain value, for a message port, an operation state or a JSON log. */
export function toWireError(error: unknown): WireError {
  const known = toEngineError(error);
  return { code: known.code, message: known.message, hint: known.hint, details: known.details };
}

/** Process exit code for an error: 2 input, 3 host, 4 conflict, 5 remote, 6 guest, 7 hypervisor, 130 cancelled, 1 a bug. */
export function exitCodeOf(code: ErrorCode): number {
  switch (code) {
    case 'internal':
    case 'plugin.failed':
      return 1;
    case 'cancelled':
      return 130;
    default:
  }
  switch (code.split('.')[0]) {
    case 'host':
      return 3;
    case 'conflict':
      return 4;
    case 'remote':
      return 5;
    case 'guest':
      return 6;
    case 'hypervisor':
      return 7;
    default:
      return 2;
  }
}
