import { Duplex } from 'node:stream';
import { STATUS_CONTINUE, STATUS_ERROR, STATUS_OK, STREAM_PAYLOAD } from './wire.ts';

/** What a stream needs from its connection. */
export interface StreamPort {
  /** Sends one packet; `done` is called when the socket has taken it. */
  send(status: number, bytes: Uint8Array, done: (error?: Error | null) => void): void;
  /** Stops and starts reading from the socket: libvirt has no flow control per stream, so this is the only one. */
  pause(): void;
  resume(): void;
  /** Called when the stream has ended, in whatever way. */
  release(): void;
}

const EMPTY = new Uint8Array(0);

/** A libvirt stream as a byte stream. Ending the writable side finishes it; destroying it aborts the transfer. */
export class RpcStream extends Duplex {
  readonly #port: StreamPort;
  #finished = false;
  #ended = false;

  readonly #hangUpEnds: boolean;

  constructor(hangUpEnds: boolean, port: StreamPort) {
    super({ allowHalfOpen: true });
    this.#hangUpEnds = hangUpEnds;
    // It may break in the turn in which it is opened, before anyone can listen; the reader then finds the error in `errored`.
    this.on('error', () => undefined);
    this.#port = port;
  }

  /**
   * Whether a hang-up of the far end is the end of the stream rather than an error. Never while it waits for the daemon's answer to the end
   * of its input: that comes after all input, and a hang-up instead of it means that input was lost.
   */
  get hangUpEnds(): boolean {
    return this.#hangUpEnds && (this.#ended || !this.writableEnded);
  }

  /** Data from the daemon; an empty packet means that there is no more. */
  receive(bytes: Buffer): void {
    if (this.#ended) return;
    if (bytes.length === 0) {
      this.#endReading();
      // The daemon keeps an unfinished stream until its connection closes.
      if (!this.writableEnded) this.end();
    } else if (!this.push(bytes)) this.#port.pause();
  }

  /** The far end is gone. */
  complete(): void {
    this.#finished = true;
    this.#endReading();
    if (!this.writableEnded) this.end();
  }

  #endReading(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }

  override _read(): void {
    this.#port.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (chunk.length <= STREAM_PAYLOAD) {
      this.#port.send(STATUS_CONTINUE, chunk, done);
      return;
    }
    this.#port.send(STATUS_CONTINUE, chunk.subarray(0, STREAM_PAYLOAD), (error) => {
      if (error) done(error);
      else this._write(chunk.subarray(STREAM_PAYLOAD), _encoding, done);
    });
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#finished) {
      done();
      return;
    }
    this.#finished = true;
    this.#port.send(STATUS_OK, EMPTY, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#finished) {
      this.#finished = true;
      this.#port.send(STATUS_ERROR, EMPTY, () => undefined);
    }
    this.#port.release();
    done(error);
  }
}
