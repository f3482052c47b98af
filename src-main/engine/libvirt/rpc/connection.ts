import type { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { CallOptions } from '../hypervisor.ts';
import {
  KEEPALIVE_PING,
  KEEPALIVE_PONG,
  KEEPALIVE_PROGRAM,
  LIBVIRT_ERROR,
  type Notice,
  PROTOCOL_VERSION,
  type Procedure,
  type RemoteError,
  remoteError,
} from './protocol.ts';
import { RpcStream } from './rpc-stream.ts';
import {
  type FrameHeader,
  FrameReader,
  rawBytes,
  STATUS_CONTINUE,
  STATUS_ERROR,
  STATUS_OK,
  TYPE_CALL,
  TYPE_MESSAGE,
  TYPE_REPLY,
  TYPE_STREAM,
  writeFrame,
} from './wire.ts';
import { type Codec, nothing, unreadable, type XdrReader, XdrWriter } from './xdr.ts';

/** The default timeouts, in sweeps: one timer per call would cost more than the rest of the client. */
const SWEEP_MS = 5000;
const FAST_SWEEPS = 12;
const SLOW_SWEEPS = 120;

export interface ConnectionOptions {
  /**
   * Maximum calls in flight; further calls queue here (default 4). The daemon's own limit is 5 for each connection; at 5 it stops reading,
   * and then even pings are blocked.
   */
  readonly maxInFlight?: number;
  /** Pings a silent daemon each `everyMs` and gives up after `missed` pings without any data. Default: no pings. */
  readonly keepalive?: { readonly everyMs: number; readonly missed: number } | undefined;
  /** The opener of the socket passes its bytes to `receive` (using `onread`, which saves a buffer and an event for each read). */
  readonly fed?: boolean;
}

/** Why a call has no result. A class, so that it cannot be mistaken for a result. */
class Failure {
  readonly kind: 'refused' | 'unreadable' | 'disconnected' | 'cancelled' | 'timeout';
  readonly error: RemoteError | undefined;
  readonly cause: unknown;
  constructor(kind: Failure['kind'], error?: RemoteError, cause?: unknown) {
    this.kind = kind;
    this.error = error;
    this.cause = cause;
  }
}

interface SendOptions extends CallOptions {
  readonly untilSent?: boolean;
}

interface Pending {
  readonly procedure: Procedure<unknown, unknown>;
  readonly args: unknown;
  /** Set for a call that opens a stream: the effect of a hang-up on it. */
  readonly stream: 'ends' | 'breaks' | undefined;
  settle: ((outcome: unknown) => void) | undefined;
  /** For a call with its own timeout. */
  timer: NodeJS.Timeout | undefined;
  /** Sweeps left, for calls without a timer. */
  sweeps: number;
  signal: AbortSignal | undefined;
  onAbort: (() => void) | undefined;
  serial: number;
}

const noticeKey = (program: number, procedure: number): string => `${program}:${procedure}`;

/**
 * Where libvirt has one daemon per driver, virtqemud answers for all of them, asking the others by their sockets: calls and events about
 * networks need no connection to virtnetworkd of our own. But that one has to be there.
 */
function hintOnDaemons(message: string | undefined): { readonly hint?: string } {
  const [, folder, daemon] = /'(\/[^']*)\/(virt[a-z]+d)-sock'/.exec(message ?? '') ?? [];
  if (folder === undefined || daemon === undefined) return {};
  const start = /^(?:\/var)?\/run\/libvirt$/.test(folder) ? `sudo systemctl start ${daemon}.socket` : `${daemon} --daemon`;
  return { hint: `libvirt has one daemon per driver there, and ${daemon} does not answer. Start it with: ${start}` };
}

/**
 * One connection to a libvirt daemon: calls, notices and streams over an already connected duplex byte stream. Answers pings but never asks
 * the daemon to send them: it would drop a client that was busy for 30 s. Once it is closed, by either side, every pending and later call
 * rejects with `hypervisor.disconnected`.
 */
export class RpcConnection {
  readonly #socket: Duplex;
  readonly #maxInFlight: number;
  readonly #writer = new XdrWriter();
  readonly #frames = new FrameReader();
  readonly #inFlight = new Map<number, Pending>();
  readonly #waiting: Pending[] = [];
  readonly #streams = new Map<number, RpcStream>();
  readonly #notices = new Map<string, (payload: XdrReader) => void>();
  readonly #closeListeners = new Set<(reason: string) => void>();
  #keepalive: NodeJS.Timeout | undefined;
  readonly #sweeper: NodeJS.Timeout;
  readonly #onTick = (): void => {
    this.#flushing = false;
    this.#flush();
  };
  readonly #onFrame = (header: FrameHeader, payload: XdrReader): void => this.#dispatch(header, payload);
  #serial = 0;
  #flushing = false;
  #heard = true;
  #paused = false;
  #missed = 0;
  #closed: string | undefined;

  constructor(socket: Duplex, options: ConnectionOptions = {}) {
    this.#socket = socket;
    this.#maxInFlight = options.maxInFlight ?? 4;
    if (options.fed !== true) socket.on('data', (chunk: Buffer) => this.receive(chunk, chunk.length));
    socket.on('error', (error: Error) => this.#fail(`libvirt's socket failed: ${error.message}`, error));
    socket.on('close', () => this.#fail('libvirt closed the connection'));
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS);
    this.#sweeper.unref();
    if (options.keepalive !== undefined) this.watch(options.keepalive);
  }

  /** Begins to ping a silent daemon each `everyMs`, and gives up after `missed` pings without any data. */
  watch({ everyMs, missed }: { readonly everyMs: number; readonly missed: number }): void {
    if (this.#closed !== undefined) return;
    this.#keepalive = setInterval(() => this.#watch(missed), everyMs);
    this.#keepalive.unref();
  }

  /** Why it is closed; undefined while it is open. */
  get closed(): string | undefined {
    return this.#closed;
  }

  /** Number of unanswered calls, including abandoned ones: the daemon still works on them. */
  get inFlight(): number {
    return this.#inFlight.size;
  }

  /**
   * Calls `procedure`. `doing` begins an error message: "Starting VM vm0". Rejects with `hypervisor.failed` (refused by libvirt, or no
   * answer in time), `hypervisor.disconnected` or `cancelled`. A cancelled or late call is not taken back: the daemon finishes it, and it
   * keeps its slot in flight until then. `untilSent`: it can be cancelled only before it is sent.
   */
  async call<A, R>(procedure: Procedure<A, R>, args: A, doing: string, options: SendOptions = {}): Promise<R> {
    const outcome = await this.#request(procedure as Procedure<unknown, unknown>, args, options, undefined);
    if (outcome instanceof Failure) throw this.#errorOf(outcome, procedure.name, doing, options);
    return outcome as R;
  }

  /**
   * Calls a procedure that opens a stream. An unread stream pauses the whole connection, so it needs a separate one. When the far end goes
   * away, the stream ends if `hangUpEnds` is set; otherwise it breaks with `hypervisor.failed`.
   */
  async openStream<A, R>(
    procedure: Procedure<A, R>,
    args: A,
    doing: string,
    options: CallOptions & { readonly hangUpEnds?: boolean } = {},
  ): Promise<{ readonly result: R; readonly stream: Duplex }> {
    const kind = options.hangUpEnds === true ? 'ends' : 'breaks';
    const outcome = await this.#request(procedure as Procedure<unknown, unknown>, args, options, kind);
    if (outcome instanceof Failure) throw this.#errorOf(outcome, procedure.name, doing, options);
    return outcome as { readonly result: R; readonly stream: Duplex };
  }

  /** Passes each notice of this kind to `listener`; one listener per kind. */
  onNotice<T>(notice: Notice<T>, listener: (value: T) => void): void {
    this.#notices.set(noticeKey(notice.program, notice.number), (payload) => {
      const value = notice.body.decode(payload);
      payload.finish();
      listener(value);
    });
  }

  /** Called once when the connection is gone; immediately if it already is. */
  onClose(listener: (reason: string) => void): void {
    if (this.#closed === undefined) this.#closeListeners.add(listener);
    else listener(this.#closed);
  }

  /** Closes it; pending calls are rejected before this returns. */
  close(reason = 'the connection was closed'): void {
    this.#fail(reason);
  }

  #request(procedure: Procedure<unknown, unknown>, args: unknown, options: SendOptions, stream: Pending['stream']): Promise<unknown> {
    return new Promise((resolve) => {
      if (this.#closed !== undefined) {
        resolve(new Failure('disconnected'));
        return;
      }
      const { signal } = options;
      if (signal?.aborted === true) {
        resolve(new Failure('cancelled', undefined, signal.reason));
        return;
      }
      const pending: Pending = {
        procedure,
        args,
        stream,
        settle: resolve,
        timer: undefined,
        sweeps: procedure.slow ? SLOW_SWEEPS : FAST_SWEEPS,
        signal,
        onAbort: undefined,
        serial: 0,
      };
      if (options.timeoutMs !== undefined) {
        pending.timer = setTimeout(() => this.#abandon(pending, new Failure('timeout')), options.timeoutMs);
      }
      if (signal !== undefined) {
        pending.onAbort = () => {
          if (options.untilSent !== true || pending.serial === 0)
            this.#abandon(pending, new Failure('cancelled', undefined, signal.reason));
        };
        signal.addEventListener('abort', pending.onAbort, { once: true });
      }
      if (this.#inFlight.size < this.#maxInFlight) this.#send(pending);
      else this.#waiting.push(pending);
    });
  }

  #send(pending: Pending): void {
    this.#serial = this.#serial >= 0xffffffff ? 1 : this.#serial + 1;
    pending.serial = this.#serial;
    const { procedure } = pending;
    try {
      this.#write(procedure.program, procedure.number, TYPE_CALL, pending.serial, STATUS_OK, procedure.args, pending.args);
    } catch (error) {
      this.#settle(pending, new Failure('unreadable', undefined, error));
      return;
    }
    this.#inFlight.set(pending.serial, pending);
    // With no other call in flight there is nothing to batch with.
    if (this.#inFlight.size === 1) this.#flush();
    else this.#flushSoon();
    if (pending.stream !== undefined)
      this.#streams.set(pending.serial, this.#makeStream(procedure, pending.serial, pending.stream === 'ends'));
  }

  /** Writes into the buffer; `#flush` sends it. */
  #write<T>(program: number, procedure: number, type: number, serial: number, status: number, codec: Codec<T>, value: T): void {
    writeFrame(this.#writer, { program, version: PROTOCOL_VERSION, procedure, type, serial, status }, codec, value);
  }

  /** Flushes after the microtasks of this turn: calls made together are sent in one write. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    process.nextTick(this.#onTick);
  }

  #flush(done?: (error?: Error | null) => void): void {
    if (this.#closed !== undefined) {
      done?.(new EngineError('hypervisor.disconnected', `The connection to libvirt is gone: ${this.#closed}.`));
      return;
    }
    if (this.#writer.size > 0) this.#socket.write(this.#writer.take(), done);
    else done?.();
  }

  #settle(pending: Pending, outcome: unknown): void {
    const { settle } = pending;
    if (settle === undefined) return;
    pending.settle = undefined;
    if (pending.timer !== undefined) clearTimeout(pending.timer);
    if (pending.onAbort !== undefined) pending.signal?.removeEventListener('abort', pending.onAbort);
    settle(outcome);
  }

  #abandon(pending: Pending, failure: Failure): void {
    const at = pending.serial === 0 ? this.#waiting.indexOf(pending) : -1;
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#streams.get(pending.serial)?.destroy();
    this.#settle(pending, failure);
  }

  #sweep(): void {
    for (const pending of [...this.#inFlight.values(), ...this.#waiting]) {
      pending.sweeps -= 1;
      if (pending.sweeps < 0 && pending.timer === undefined) this.#abandon(pending, new Failure('timeout'));
    }
  }

  /** Takes `size` bytes from the daemon; the chunk is not kept. Only for connections opened with `fed`. */
  receive(chunk: Buffer, size: number): void {
    if (this.#closed !== undefined) return;
    this.#heard = true;
    try {
      this.#frames.push(chunk, size, this.#onFrame);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message.replace(/\.$/, '') : String(error), error);
    }
  }

  #dispatch(header: FrameHeader, payload: XdrReader): void {
    switch (header.type) {
      case TYPE_REPLY:
        this.#onReply(header, payload);
        break;
      case TYPE_MESSAGE:
        this.#onMessage(header, payload);
        break;
      case TYPE_STREAM:
        this.#onStream(header, payload);
        break;
      default:
        // Also replies with file descriptors: no call of ours gets any, and their position in the bytes is unknown.
        throw unreadable(`a message of type ${header.type}`);
    }
  }

  #onReply(header: FrameHeader, payload: XdrReader): void {
    const pending = this.#inFlight.get(header.serial);
    if (pending === undefined || pending.procedure.number !== header.procedure || pending.procedure.program !== header.program) {
      throw unreadable('a reply with an unknown serial');
    }
    this.#inFlight.delete(header.serial);
    const outcome = this.#outcome(pending, header, payload);
    if (pending.stream !== undefined && outcome instanceof Failure) this.#streams.delete(header.serial);
    this.#settle(pending, outcome);
    while (this.#waiting.length > 0 && this.#inFlight.size < this.#maxInFlight) {
      const next = this.#waiting.shift();
      if (next !== undefined) this.#send(next);
    }
  }

  #outcome(pending: Pending, header: FrameHeader, payload: XdrReader): unknown {
    try {
      if (header.status === STATUS_ERROR) {
        const error = remoteError.decode(payload);
        payload.finish();
        return new Failure('refused', error);
      }
      if (header.status !== STATUS_OK) throw unreadable(`an answer with status ${header.status}`);
      const result = pending.procedure.result.decode(payload);
      payload.finish();
      return pending.stream !== undefined ? { result, stream: this.#streams.get(header.serial) } : result;
    } catch (error) {
      return new Failure('unreadable', undefined, error);
    }
  }

  #onMessage(header: FrameHeader, payload: XdrReader): void {
    if (header.program === KEEPALIVE_PROGRAM) {
      if (header.procedure === KEEPALIVE_PING) {
        this.#write(KEEPALIVE_PROGRAM, KEEPALIVE_PONG, TYPE_MESSAGE, 0, STATUS_OK, nothing, undefined);
        this.#flushSoon();
      }
      return;
    }
    this.#notices.get(noticeKey(header.program, header.procedure))?.(payload);
  }

  #onStream(header: FrameHeader, payload: XdrReader): void {
    const stream = this.#streams.get(header.serial);
    // A stream destroyed here: data that the daemon sent before it knew.
    if (stream === undefined) return;
    if (header.status === STATUS_CONTINUE) stream.receive(payload.rest());
    else if (header.status === STATUS_OK) stream.complete();
    else {
      const error = remoteError.decode(payload);
      if (error.code === LIBVIRT_ERROR.rpc && stream.hangUpEnds) {
        stream.complete();
        return;
      }
      stream.destroy(
        new EngineError('hypervisor.failed', `The stream from libvirt broke: ${error.message ?? 'no reason given'}`, {
          details: { libvirtCode: error.code, libvirtDomain: error.domain },
        }),
      );
    }
  }

  #makeStream(procedure: Procedure<unknown, unknown>, serial: number, hangUpEnds: boolean): RpcStream {
    return new RpcStream(hangUpEnds, {
      send: (status, bytes, done) => {
        if (this.#closed === undefined) this.#write(procedure.program, procedure.number, TYPE_STREAM, serial, status, rawBytes, bytes);
        this.#flush(done);
      },
      pause: () => {
        this.#paused = true;
        this.#socket.pause();
      },
      resume: () => {
        if (!this.#paused) return;
        this.#paused = false;
        this.#heard = true;
        this.#socket.resume();
      },
      release: () => {
        this.#streams.delete(serial);
        if (this.#paused) {
          this.#paused = false;
          this.#socket.resume();
        }
      },
    });
  }

  /** Counts pings, not time: after this process was stopped or busy, replies waiting in the socket are read first. */
  #watch(limit: number): void {
    if (this.#heard || this.#paused) {
      this.#heard = false;
      this.#missed = 0;
      return;
    }
    if (this.#missed >= limit) {
      this.#fail(`libvirt did not answer ${limit} pings`);
      return;
    }
    this.#missed += 1;
    this.#write(KEEPALIVE_PROGRAM, KEEPALIVE_PING, TYPE_MESSAGE, 0, STATUS_OK, nothing, undefined);
    this.#flushSoon();
  }

  #fail(reason: string, cause?: unknown): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    clearInterval(this.#keepalive);
    clearInterval(this.#sweeper);
    const failure = new Failure('disconnected', undefined, cause);
    const pending = [...this.#inFlight.values(), ...this.#waiting];
    this.#inFlight.clear();
    this.#waiting.length = 0;
    for (const one of pending) this.#settle(one, failure);
    for (const stream of this.#streams.values()) {
      stream.destroy(new EngineError('hypervisor.disconnected', `The connection to libvirt is gone: ${reason}.`, { cause }));
    }
    this.#socket.destroy();
    for (const listener of this.#closeListeners) listener(reason);
    this.#closeListeners.clear();
  }

  #errorOf(failure: Failure, procedure: string, doing: string, options: CallOptions): EngineError {
    const { cause } = failure;
    switch (failure.kind) {
      case 'refused':
        return new EngineError('hypervisor.failed', `${doing} failed: ${failure.error?.message ?? 'libvirt gave no reason'}`, {
          details: { procedure, libvirtCode: failure.error?.code ?? 0, libvirtDomain: failure.error?.domain ?? 0 },
          ...hintOnDaemons(failure.error?.message),
        });
      case 'unreadable':
        return new EngineError('hypervisor.failed', `${doing} failed: ${cause instanceof Error ? cause.message : String(cause)}`, {
          details: { procedure },
          cause,
        });
      case 'cancelled':
        return new EngineError('cancelled', `${doing} was cancelled.`, { details: { procedure }, cause });
      case 'timeout':
        return new EngineError('hypervisor.failed', `${doing} failed: libvirt did not answer in time.`, {
          details: { procedure, ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }) },
          hint: 'libvirt may still finish it; look at the state before trying again.',
        });
      case 'disconnected':
        return new EngineError(
          'hypervisor.disconnected',
          `${doing} failed: the connection to libvirt is gone: ${this.#closed ?? 'closed'}.`,
          {
            details: { procedure },
            hint: 'Check that libvirt is running.',
            cause,
          },
        );
    }
  }
}
