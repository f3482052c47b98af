import { getCiphers } from 'node:crypto';
import type { Duplex, Readable } from 'node:stream';
import ssh2, { type Algorithms, type AuthenticationType, type Client, type ConnectConfig } from 'ssh2';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, type Log } from '../core/log.ts';
import { Tail } from '../core/tail.ts';
import { openChannel } from './channel.ts';
import { abortError, type Dial, dialRefusal, type Refusal } from './dial.ts';
import { fingerprint, type HostKeys } from './host-keys.ts';

export interface SshTarget {
  readonly dial: Dial;
  readonly address: string;
  /** Default 22. */
  readonly port?: number;
  /** The VM's name, used for its pinned host key and in messages. Default: the address. */
  readonly vm?: string;
  readonly user: string;
  readonly privateKey: string | undefined;
  /** Tried after the key, as a password and for keyboard-interactive. */
  readonly password?: string | undefined;
  readonly hostKeys: Pick<HostKeys, 'check' | 'pin'>;
  /** For dialling and login together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly log: Log;
  /** A guest silent for this long counts as lost. Default 10 s; a terminal uses less, long commands in a busy guest more. */
  readonly keepaliveMs?: number;
  /** The guest's processor is emulated. */
  readonly emulated?: boolean | undefined;
}

export interface ExecOptions {
  readonly signal?: AbortSignal | undefined;
  /** Sent to stdin, which is then closed; without it stdin is empty. */
  readonly input?: string | Uint8Array | Readable;
  readonly onStdout?: (chunk: Buffer) => void;
  readonly onStderr?: (chunk: Buffer) => void;
  /** Bytes kept of each stream in the result (default 1 MiB), the last ones; the callbacks get everything. */
  readonly maxOutput?: number;
}

export interface ExecResult {
  /** Exit status, or 128 + signal. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** An authenticated connection to a guest. Disposing closes it and all its channels. */
export interface SshConnection extends AsyncDisposable {
  readonly vm: string;
  readonly user: string;
  /** Fingerprint of the guest's host key. */
  readonly hostKey: string;
  /** The ssh2 client, for the other files of this folder. */
  readonly client: Client;
  /** Resolves when the connection has ended: with the reason when it was lost, with undefined after `close`. */
  readonly closed: Promise<EngineError | undefined>;
  /** Why it ended; a generic reason while it has not. */
  lost(): EngineError;
  /**
   * Runs a command line in the guest's shell and streams its output. A non-zero exit is a result, not an error. Rejects with
   * `guest.unreachable` when the connection is lost meanwhile, and `cancelled`.
   */
  exec(command: string, options?: ExecOptions): Promise<ExecResult>;
  close(): Promise<void>;
}

const AES = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr', 'aes256-ctr'] as const;

/** What is used, fastest first; the last of each list are for guests like CentOS 6. */
const ALGORITHMS: Algorithms = {
  kex: [
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
    'diffie-hellman-group-exchange-sha256',
    'diffie-hellman-group14-sha1',
  ],
  cipher: [...AES],
  // A fixed order, so that a guest with several keys always presents the one that was pinned.
  serverHostKey: ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'rsa-sha2-512', 'rsa-sha2-256', 'ssh-rsa'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512', 'hmac-sha1'],
  compress: ['none'],
};
/** For a processor without AES instructions, as emulated ones are in effect: there AES-GCM takes twice the time of this one. */
const WITHOUT_AES: Algorithms = { ...ALGORITHMS, cipher: ['chacha20-poly1305@openssh.com', ...AES] };
/** Electron's cryptography has no plain ChaCha20, which ssh2 needs. */
const HAS_CHACHA20 = getCiphers().includes('chacha20');

/**
 * Dials a guest and logs in: key first, then password. The host key must match the pinned one; the first login pins it. Rejects with
 * `guest.unreachable` (no answer, refused, not ssh, closed), `guest.refused` (wrong credentials, changed host key, no common algorithm),
 * the signal's EngineError, or `cancelled`. `details.reason` is a `Refusal`.
 */
export async function connectSsh(target: SshTarget): Promise<SshConnection> {
  const deadline = Date.now() + target.timeoutMs;
  const stream = await dialGuest(target, target.timeoutMs);
  return await loginOver(stream, target, Math.max(1, deadline - Date.now()));
}

/** The first half of `connectSsh`: a TCP connection to the guest's ssh port. */
export async function dialGuest(target: SshTarget, timeoutMs: number): Promise<Duplex> {
  const { signal, address, port = 22, vm = address } = target;
  if (signal?.aborted) throw abortError(signal);
  try {
    return await target.dial(address, port, { timeoutMs, signal });
  } catch (error) {
    if (signal?.aborted) throw abortError(signal);
    if (!(error instanceof EngineError) || error.code !== 'guest.unreachable') throw error;
    const reason = dialRefusal(error);
    const what = reason === 'no-answer' ? 'does not answer' : `refuses connections to port ${port}`;
    throw new EngineError('guest.unreachable', `${vm} (${address}) ${what}.`, {
      cause: error,
      details: { vm, address, port, reason },
      hint: `Look at the console of ${vm}: is it up, and does it have this address?`,
    });
  }
}

/** The second half of `connectSsh`: logs in over a stream, which the connection then owns. */
export async function loginOver(stream: Duplex, target: SshTarget, timeoutMs: number): Promise<SshConnection> {
  const { signal, vm = target.address, user, hostKeys, log } = target;
  const client = new ssh2.Client();
  // One listener per open channel.
  client.setMaxListeners(0);
  let phase: 'login' | 'open' | 'over' = 'login';
  let negotiated = false;
  let hostKey: Uint8Array = Buffer.alloc(0);
  let hostKeyError: unknown;
  let known: 'same' | 'new' = 'new';
  let lostBecause: EngineError | undefined;

  function lost(): EngineError {
    return lostBecause ?? failure(target, 'closed', `The connection to ${vm} was lost.`, reconnect(vm));
  }

  let announce: (reason: EngineError | undefined) => void = () => undefined;
  const closed = new Promise<EngineError | undefined>((resolve) => {
    announce = resolve;
  });

  async function verify(key: Buffer, answer: (trusted: boolean) => void): Promise<void> {
    hostKey = key;
    try {
      known = await hostKeys.check(vm, key);
      answer(true);
    } catch (error) {
      hostKeyError = error;
      answer(false);
    }
  }

  await new Promise<void>((resolve, reject) => {
    const fail = (error: unknown): void => {
      if (phase !== 'login') return;
      phase = 'over';
      signal?.removeEventListener('abort', onAbort);
      stream.destroy();
      reject(error);
    };
    const onAbort = (): void => fail(abortError(signal as AbortSignal));
    // These listeners stay: an `error` can follow right after `ready`, in the packet being parsed.
    client.on('error', (error: Error & { level?: string }) => {
      log.debug(`ssh to ${vm}: ${error.message}`);
      fail(hostKeyError ?? explain(target, error, negotiated));
      if (error.level === 'client-timeout') lostBecause ??= failure(target, 'no-answer', `${vm} stopped answering.`, reconnect(vm), error);
    });
    client.on('close', () => {
      fail(explain(target, new Error('the guest hung up'), negotiated));
      announce(phase === 'over' ? undefined : lost());
    });
    client.once('handshake', () => {
      negotiated = true;
    });
    client.on('keyboard-interactive', (_name, _instructions, _language, prompts, answer) => {
      answer(prompts.map((prompt) => (prompt.echo === true ? '' : (target.password ?? ''))));
    });
    client.once('ready', () => {
      if (phase !== 'login') return;
      phase = 'open';
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    if (signal?.aborted) return onAbort();
    if (stream.destroyed) return fail(explain(target, new Error('the guest hung up'), false));
    signal?.addEventListener('abort', onAbort, { once: true });
    // A host's stream may stay half-open; ssh cannot continue once the guest has closed its half.
    stream.once('end', () => stream.destroy());
    try {
      client.connect({
        sock: stream,
        username: user,
        readyTimeout: timeoutMs,
        ...keepalive(target.keepaliveMs ?? 10_000),
        algorithms: target.emulated === true && HAS_CHACHA20 ? WITHOUT_AES : ALGORITHMS,
        authHandler: methods(target),
        tryKeyboard: target.password !== undefined,
        hostVerifier: (key: Buffer, answer: (trusted: boolean) => void) => drop(verify(key, answer), log, 'host key'),
        ...(target.privateKey === undefined ? {} : { privateKey: target.privateKey }),
        ...(target.password === undefined ? {} : { password: target.password }),
      });
    } catch (error) {
      // ssh2 throws on a key that it cannot parse.
      fail(new EngineError('input.invalid', `The ssh key for ${vm} cannot be used: ${(error as Error).message}.`, { cause: error }));
    }
  });

  async function close(): Promise<void> {
    phase = 'over';
    client.end();
    // A dead guest never acknowledges the end of the stream.
    const timer = setTimeout(() => stream.destroy(), 500);
    await closed;
    clearTimeout(timer);
    stream.destroy();
  }

  try {
    if (known === 'new') await hostKeys.pin(vm, hostKey);
  } catch (error) {
    await close();
    throw error;
  }
  log.debug(`ssh: logged in to ${vm} (${target.address}) as ${user}`);
  return {
    vm,
    user,
    hostKey: fingerprint(hostKey),
    client,
    closed,
    lost,
    close,
    exec: async (command, options = {}) => await exec(client, lost, command, options),
    [Symbol.asyncDispose]: close,
  };
}

function reconnect(vm: string): string {
  return `${vm} may have been stopped or reverted; connect again.`;
}

function failure(target: SshTarget, reason: Refusal, message: string, hint: string, cause?: unknown): EngineError {
  const code = reason === 'login' || reason === 'algorithms' ? 'guest.refused' : 'guest.unreachable';
  const details = { vm: target.vm ?? target.address, address: target.address, user: target.user, reason };
  return new EngineError(code, message, { cause, details, hint });
}

/** Translates an error of ssh2 before the login. */
function explain(target: SshTarget, error: Error & { level?: string }, negotiated: boolean): EngineError {
  const { vm = target.address, user } = target;
  const look = `Look at the console of ${vm}.`;
  const check = `Check ssh-user and ssh-password of ${vm} in the init file, and that its template accepts the environment's key.`;
  switch (error.level) {
    case 'client-authentication':
      return failure(target, 'login', `${vm} refuses the login of ${user} (${tried(target)} tried).`, check, error);
    case 'client-timeout':
      return failure(target, 'no-answer', `ssh on ${vm} did not answer in time.`, look, error);
    case 'handshake':
      return failure(target, 'algorithms', `ssh on ${vm} has no algorithm in common with us: ${error.message}.`, look, error);
    case 'protocol':
      return error.message.includes('Connection lost')
        ? failure(target, 'closed', `${vm} closed the connection before ssh began.`, look, error)
        : failure(target, 'not-ssh', `${vm} does not speak ssh on this port: ${error.message}.`, look, error);
    default:
      return negotiated
        ? failure(target, 'login', `${vm} ended the login of ${user}: ${error.message}.`, check, error)
        : failure(target, 'closed', `The connection to ${vm} was closed: ${error.message}.`, look, error);
  }
}

/** ssh2 gives up when it is about to send another keepalive after `keepaliveCountMax` unanswered ones. */
function keepalive(patienceMs: number): Pick<ConnectConfig, 'keepaliveInterval' | 'keepaliveCountMax'> {
  return { keepaliveInterval: Math.max(1, Math.round(patienceMs / 4)), keepaliveCountMax: 3 };
}

function methods(target: SshTarget): AuthenticationType[] {
  const list: AuthenticationType[] = [];
  if (target.privateKey !== undefined) list.push('publickey');
  if (target.password !== undefined) list.push('password', 'keyboard-interactive');
  return list.length === 0 ? ['none'] : list;
}

function tried(target: SshTarget): string {
  if (target.privateKey === undefined) return target.password === undefined ? 'nothing' : 'password';
  return target.password === undefined ? 'key' : 'key and password';
}

async function exec(client: Client, lost: () => EngineError, command: string, options: ExecOptions): Promise<ExecResult> {
  const channel = await openChannel(client, lost, { command, signal: options.signal });
  const stdout = new Tail(options.maxOutput ?? 1024 * 1024);
  const stderr = new Tail(options.maxOutput ?? 1024 * 1024);
  channel.stream.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
    options.onStdout?.(chunk);
  });
  channel.stderr?.on('data', (chunk: Buffer) => {
    stderr.push(chunk);
    options.onStderr?.(chunk);
  });
  const { input } = options;
  if (input === undefined || typeof input === 'string' || input instanceof Uint8Array) channel.stream.end(input);
  else {
    input.on('error', (error) =>
      channel.close(new EngineError('internal', `Input of "${command}" failed: ${error.message}`, { cause: error })),
    );
    input.pipe(channel.stream);
  }
  const drained = Promise.all([ended(channel.stream), channel.stderr === undefined ? undefined : ended(channel.stderr)]);
  const code = await channel.exit;
  await drained;
  return { code, stdout: stdout.toString(), stderr: stderr.toString() };
}

async function ended(stream: Readable): Promise<void> {
  await new Promise<void>((resolve) => {
    stream.once('end', resolve);
    stream.once('close', resolve);
  });
}
