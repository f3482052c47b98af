import { constants } from 'node:os';
import { Duplex, PassThrough, type Readable } from 'node:stream';
import type { Client, ClientChannel, PseudoTtyOptions } from 'ssh2';
import { EngineError } from '../../../src-shared/errors.ts';
import { drop, silentLog } from '../core/log.ts';
import { abortError } from './dial.ts';

export interface ChannelRequest {
  /** Default: a login shell. */
  readonly command?: string | undefined;
  readonly pty?: { readonly columns: number; readonly rows: number; readonly term?: string } | undefined;
  readonly signal?: AbortSignal | undefined;
  /**
   * Closes the channel when nothing was printed for this long after the command ended, or twenty times this long after it. Otherwise a
   * process that it left in the background keeps the channel open for as long as it may still print.
   */
  readonly lingerMs?: number | undefined;
}

/** One session channel of a connection. */
export interface GuestChannel {
  /**
   * stdin and stdout with back-pressure both ways. When the connection is lost it is destroyed with the same error as `exit`; writes after
   * the remote side ended are discarded.
   */
  readonly stream: Duplex;
  /** Must be read (or resumed): unread data blocks the remote side. Absent with a pty. */
  readonly stderr: Readable | undefined;
  /** Exit status, or 128 + signal, once the remote side has ended and its output is in the streams. Rejects when the connection is lost. */
  readonly exit: Promise<number>;
  resize(columns: number, rows: number): void;
  /** Ends the channel; `exit` rejects with `reason` unless the remote side has already ended. */
  close(reason: EngineError): void;
}

/** Bytes buffered between the ssh window and the reader. */
const BUFFER = 64 * 1024;

class ChannelStream extends Duplex {
  readonly #channel: ClientChannel;
  #pending: ((error?: Error | null) => void) | undefined;
  #over = false;

  constructor(channel: ClientChannel) {
    super({ readableHighWaterMark: BUFFER, writableHighWaterMark: BUFFER });
    this.#channel = channel;
    channel.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) channel.pause();
    });
    channel.on('end', () => this.push(null));
    // `exit` rejects with the same error; a caller that only awaits `exit` must not get an unhandled error event.
    this.on('error', () => undefined);
  }

  /** The remote side has ended: further input is discarded. */
  finish(): void {
    this.#over = true;
    this.#pending?.();
    this.#pending = undefined;
  }

  override _read(): void {
    this.#channel.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#over || !this.#channel.writable) {
      done();
      return;
    }
    this.#pending = done;
    // ssh2 calls back once the window had room for everything, but never after the channel is gone.
    this.#channel.write(chunk, () => {
      if (this.#pending !== done) return;
      this.#pending = undefined;
      done();
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#over) this.#channel.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.finish();
    this.#channel.close();
    // Without a reader, drain the data: ssh2 reports the end of a channel only after its data is consumed.
    this.#channel.resume();
    done(error);
  }
}

/**
 * Opens a channel that runs a command or a login shell. `lost` returns why the connection ended. Rejects with `guest.unreachable`
 * (connection lost), `guest.failed` (the server refuses the request) or `cancelled`.
 */
export async function openChannel(client: Client, lost: () => EngineError, request: ChannelRequest): Promise<GuestChannel> {
  return await opened(client, lost, {
    signal: request.signal,
    ask: (answer) => {
      const pty = request.pty === undefined ? false : ptyOptions(request.pty);
      if (request.command !== undefined) client.exec(request.command, pty === false ? {} : { pty }, answer);
      else client.shell(pty, answer);
    },
    use: (channel) => wrap(client, lost, channel, request),
    refusal: (error) => new EngineError('guest.failed', `The guest refused to open a session: ${error.message}.`, { cause: error }),
  });
}

export interface TcpRequest {
  /** A name or an address, as the guest knows it. */
  readonly host: string;
  readonly port: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a stream to a port that the guest reaches. It is destroyed when the connection is lost. Rejects with `guest.unreachable` (connection
 * lost, nobody answers there, or the guest forwards nothing) or `cancelled`.
 */
export async function openTcpChannel(client: Client, lost: () => EngineError, { host, port, signal }: TcpRequest): Promise<Duplex> {
  return await opened(client, lost, {
    signal,
    ask: (answer) => client.forwardOut('127.0.0.1', 0, host, port, answer),
    use: (channel) => {
      const stream = new ChannelStream(channel);
      const onLost = (): void => void stream.destroy(lost());
      client.once('close', onLost);
      stream.once('close', () => client.off('close', onLost));
      channel.on('close', () => {
        // What has come can still be read.
        stream.finish();
        stream.end();
      });
      return stream;
    },
    refusal: (error) =>
      new EngineError('guest.unreachable', `Port ${port} of ${host} cannot be reached from the guest: ${error.message}.`, { cause: error }),
  });
}

interface Opening<T> {
  readonly signal: AbortSignal | undefined;
  ask(answer: (error: Error | undefined, channel: ClientChannel) => void): void;
  /** Called in the same turn: output and exit status may follow in the packet being parsed. */
  use(channel: ClientChannel): T;
  refusal(error: Error): EngineError;
}

async function opened<T>(client: Client, lost: () => EngineError, { signal, ask, use, refusal }: Opening<T>): Promise<T> {
  if (signal?.aborted) throw abortError(signal);
  return await new Promise<T>((resolve, reject) => {
    let settled = false;
    const settle = (act: () => void): void => {
      if (settled) return;
      settled = true;
      signal?.removeEventListener('abort', onAbort);
      client.off('close', onLost);
      act();
    };
    const onAbort = (): void => settle(() => reject(abortError(signal as AbortSignal)));
    const onLost = (): void => settle(() => reject(lost()));
    const onOpen = (error: Error | undefined, channel: ClientChannel): void => {
      if (error !== undefined) {
        settle(() => reject(refusal(error)));
      } else if (settled) {
        channel.close();
        channel.resume();
        channel.stderr.resume();
      } else {
        settle(() => resolve(use(channel)));
      }
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    client.once('close', onLost);
    try {
      ask(onOpen);
    } catch {
      // ssh2 throws "Not connected" between the end of the socket and its `close` event.
      settle(() => reject(lost()));
    }
  });
}

function ptyOptions(pty: NonNullable<ChannelRequest['pty']>): PseudoTtyOptions {
  return { cols: pty.columns, rows: pty.rows, width: 0, height: 0, term: pty.term ?? 'xterm-256color', modes: {} };
}

function wrap(client: Client, lost: () => EngineError, channel: ClientChannel, request: ChannelRequest): GuestChannel {
  const stream = new ChannelStream(channel);
  const stderr = request.pty === undefined ? new PassThrough({ highWaterMark: BUFFER }) : undefined;
  if (stderr === undefined) channel.stderr.resume();
  else channel.stderr.pipe(stderr);

  let code: number | undefined;
  let end: (how: EngineError | undefined) => void = () => undefined;
  const exit = new Promise<number>((resolve, reject) => {
    end = (how) => {
      end = () => undefined;
      request.signal?.removeEventListener('abort', onAbort);
      client.off('close', onLost);
      if (code !== undefined) {
        stream.finish();
        resolve(code);
      } else {
        const error = how ?? new EngineError('guest.failed', 'The guest ended the session without an exit status.');
        stream.destroy(error);
        stderr?.end();
        reject(error);
      }
    };
  });
  // Callers that only use the stream see the error there.
  drop(exit, silentLog, 'exit');
  const onAbort = (): void => end(abortError(request.signal as AbortSignal));
  const onLost = (): void => end(lost());
  request.signal?.addEventListener('abort', onAbort, { once: true });
  client.once('close', onLost);
  let linger: NodeJS.Timeout | undefined;
  let latest: number | undefined;
  const endSoon = (): void => {
    if (code === undefined || request.lingerMs === undefined) return;
    latest ??= Date.now() + 20 * request.lingerMs;
    clearTimeout(linger);
    linger = setTimeout(() => channel.close(), Math.min(request.lingerMs, latest - Date.now()));
  };
  channel.on('exit', (status: number | null, name?: string) => {
    code = status ?? 128 + (constants.signals[name as NodeJS.Signals] ?? 0);
    endSoon();
  });
  channel.on('data', endSoon);
  channel.on('close', () => {
    clearTimeout(linger);
    end(undefined);
  });

  return {
    stream,
    stderr,
    exit,
    resize: (columns, rows) => channel.setWindow(rows, columns, 0, 0),
    close: (reason) => {
      end(reason);
      stream.destroy();
    },
  };
}
