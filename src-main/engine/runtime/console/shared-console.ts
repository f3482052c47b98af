import { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { TerminalStatus } from '../../../../src-shared/terminal.ts';
import { drop, silentLog } from '../../core/log.ts';
import type { LinkReason } from '../link.ts';
import type { ConsoleOptions } from '../shell-request.ts';
import { type ConsoleHub, type ConsoleSeat, type ConsoleUser, lastLines } from './console-hub.ts';

/** As much of earlier output as fits on a screen, whatever its lines contain. */
const SCREEN_BYTES = 16 * 1024;

/** A seat at a console as a stream, for one who does not wait for the VM to come back: ends with the reason when the console does. */
class SharedConsole extends Duplex implements ConsoleUser {
  #seat: ConsoleSeat | undefined;
  readonly #lines: number;
  readonly #onConnected: () => void;
  #over = false;

  constructor(lines: number, onConnected: () => void) {
    super({ allowHalfOpen: false });
    this.#lines = lines;
    this.#onConnected = onConnected;
  }

  async join(hub: ConsoleHub): Promise<void> {
    const seat = await hub.join(this);
    if (this.destroyed) {
      seat.leave();
      return;
    }
    this.#seat = seat;
    const before = lastLines(seat.history, this.#lines, SCREEN_BYTES);
    if (before.length > 0) this.push(before);
    if (seat.status === 'connected') this.#onConnected();
  }

  onOutput(bytes: Buffer): boolean {
    if (this.#over) return true;
    return this.push(bytes);
  }

  onStatus(status: TerminalStatus, { error }: LinkReason): void {
    if (status === 'connected') this.#onConnected();
    else if (error !== undefined) this.destroy(error);
    else if (status === 'ended') this.#end();
  }

  override _read(): void {
    this.#seat?.ready();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#seat === undefined) done();
    else this.#seat.write(chunk, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    const finished = (error?: Error | null): void => {
      if (error) {
        done(error);
        return;
      }
      this.#end();
      done();
    };
    if (this.#seat === undefined) finished();
    else this.#seat.finish(finished);
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.push(null);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#seat?.leave();
    done(error);
  }
}

/**
 * Opens a VM's serial console as a stream that begins with the last lines of earlier output and ends when its input is ended and, unless
 * others use the console too, the VM's serial port has taken it. Rejects when it cannot be opened now; fails when the VM stops, with
 * `conflict.taken`, or with `guest.unreachable` when the guest does not read its input.
 */
export async function openSharedConsole(hub: ConsoleHub, options: ConsoleOptions): Promise<Duplex> {
  const { lines = 0, signal } = options;
  return await new Promise<Duplex>((resolve, reject) => {
    const onAbort = (): void => void stream.destroy(new EngineError('cancelled', 'Cancelled.'));
    const settled = (): void => signal?.removeEventListener('abort', onAbort);
    const stream = new SharedConsole(lines, () => {
      settled();
      resolve(stream);
    });
    stream.once('error', reject);
    stream.once('close', settled);
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    drop(
      stream.join(hub).catch((error: unknown) => void stream.destroy(error instanceof Error ? error : new Error(String(error)))),
      silentLog,
      'serial console',
    );
  });
}
