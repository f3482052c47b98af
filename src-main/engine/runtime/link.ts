import type { Duplex } from 'node:stream';
import { EngineError, type ErrorCode } from '../../../src-shared/errors.ts';
import type { TerminalStatus } from '../../../src-shared/terminal.ts';
import { drop, silentLog } from '../core/log.ts';

/** Why a link changed its state. */
export interface LinkReason {
  /** A sentence for the user, without a full stop; absent where there is nothing to say. */
  readonly notice?: string;
  readonly error?: Error;
}

export interface LinkOptions {
  /** Opens a stream to the VM. */
  open(signal: AbortSignal): Promise<Duplex>;
  /** Whether the VM is running as far as the engine knows. */
  isRunning(): boolean;
  /** A new stream is open. It is destroyed when the link is closed or renewed. */
  onOpen(stream: Duplex): void;
  /** Why a stream ended that has no error of its own; by default the user ended it inside the VM. */
  whyEnded?(): Promise<Error | undefined>;
  onStatus(status: TerminalStatus, reason: LinkReason): void;
}

/** Delays before reconnecting, ms; the last one repeats. */
export const RETRY_DELAYS = [500, 1_000, 2_000, 4_000, 8_000] as const;
/** A stream that lasted this long was a success: the next loss begins with the shortest delay. */
const LASTING_MS = 10_000;
const HOPELESS: readonly ErrorCode[] = ['vm.missing', 'prefix.missing', 'guest.refused', 'input.invalid', 'not-available'];

/**
 * Keeps one stream to a VM open: reconnects after a loss (a revert, a reboot, libvirt restarted) while the VM runs, waits while it is
 * off, and stops when the user has ended it or another program has taken it.
 */
export class Link {
  readonly #options: LinkOptions;
  #status: TerminalStatus = 'ended';
  #round = 0;
  #failures = 0;
  #stream: Duplex | undefined;
  #abort: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #openedAt = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get status(): TerminalStatus {
    return this.#status;
  }

  /** The open stream. */
  get stream(): Duplex | undefined {
    return this.#stream;
  }

  /** When the present stream was opened, ms since the epoch; 0 before the first. */
  get openedAt(): number {
    return this.#openedAt;
  }

  /** Connects now, whatever the state; drops an open stream. */
  start(): void {
    this.#drop();
    this.#failures = 0;
    drop(this.#connect(), silentLog, 'terminal');
  }

  /** Drops the stream and reconnects, telling the reason. Does nothing to what the user has ended or another program has taken. */
  renew(reason: string): void {
    if (this.#status !== 'connected' && this.#status !== 'connecting') return;
    this.#drop();
    this.#failures = 0;
    this.#set('connecting', { notice: `${reason}; connecting again` });
    drop(this.#connect(), silentLog, 'terminal');
  }

  /** To be called when the VM's state may have changed. */
  checkVm(): void {
    if (this.#status === 'waiting' && this.#options.isRunning()) this.start();
  }

  /** Closes permanently; no callback follows. */
  close(): void {
    this.#drop();
    this.#status = 'ended';
  }

  #drop(): void {
    // From here on, ends of earlier rounds are ignored.
    this.#round += 1;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
    this.#stream?.destroy();
    this.#stream = undefined;
  }

  #set(status: TerminalStatus, reason: LinkReason = {}): void {
    if (this.#status === status && reason.notice === undefined && reason.error === undefined) return;
    this.#status = status;
    this.#options.onStatus(status, reason);
  }

  async #connect(): Promise<void> {
    const round = this.#round;
    const abort = new AbortController();
    this.#abort = abort;
    this.#set('connecting');
    try {
      const stream = await this.#options.open(abort.signal);
      if (round !== this.#round) {
        stream.destroy();
        return;
      }
      this.#stream = stream;
      this.#openedAt = Date.now();
      // Its reason arrives with "close"; without a listener an error would end the program.
      stream.on('error', () => undefined);
      stream.once('close', () => drop(this.#closed(round, stream), silentLog, 'terminal'));
      this.#options.onOpen(stream);
      this.#set('connected');
    } catch (error) {
      if (round === this.#round) this.#failed(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #failed(error: Error): void {
    if (error instanceof EngineError && HOPELESS.includes(error.code)) {
      const notice = [error.message, error.hint].filter((part) => part !== undefined).join(' ');
      this.#set('ended', { notice, error });
    } else this.#again(error);
  }

  async #closed(round: number, stream: Duplex): Promise<void> {
    if (round !== this.#round) return;
    this.#stream = undefined;
    let error = stream.errored ?? undefined;
    try {
      error ??= await this.#options.whyEnded?.();
    } catch (reason) {
      error = reason instanceof Error ? reason : new Error(String(reason));
    }
    if (round === this.#round) this.#ended(error);
  }

  #ended(error: Error | undefined): void {
    this.#round += 1;
    if (Date.now() - this.#openedAt > LASTING_MS) this.#failures = 0;
    if (error === undefined) this.#set('ended', { notice: 'session ended' });
    else if (error instanceof EngineError && error.code === 'conflict.taken') this.#set('taken', { notice: sentence(error), error });
    else this.#again(error);
  }

  #again(error: Error): void {
    if (!this.#options.isRunning()) {
      this.#set('waiting', { notice: `${sentence(error)}; connects again when the VM runs`, error });
      return;
    }
    // One line per loss, not one per try.
    this.#set('connecting', this.#failures === 0 ? { notice: `${sentence(error)}; connecting again`, error } : { error });
    const delay = RETRY_DELAYS[Math.min(this.#failures, RETRY_DELAYS.length - 1)];
    this.#failures += 1;
    const round = this.#round;
    this.#timer = setTimeout(() => {
      if (round !== this.#round) return;
      if (this.#options.isRunning()) drop(this.#connect(), silentLog, 'terminal');
      else this.#set('waiting');
    }, delay);
    this.#timer.unref();
  }
}

function sentence(error: Error): string {
  return error.message.replace(/\.$/, '');
}
