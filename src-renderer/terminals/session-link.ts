import type { ByteChannel, ByteChannelEvents } from '../../src-shared/byte-stream.ts';
import type { WireError } from '../../src-shared/errors.ts';

/** State of a session: `waiting` until its VM runs again, `ended` until the user reconnects. */
export type LinkState = 'connecting' | 'connected' | 'waiting' | 'ended';

/** An open stream: its id for `terminal.resize` and the bytes. */
export interface LinkStream {
  readonly stream: string;
  readonly channel: ByteChannel;
}

export interface LinkOptions {
  /** Opens a stream to the VM; rejects with errors that `readError` understands. */
  connect(events: ByteChannelEvents, signal: AbortSignal): Promise<LinkStream>;
  readError(error: unknown): WireError;
  /** Whether the VM is running according to the engine; false while there is no engine. */
  isRunning(): boolean;
  onState(state: LinkState): void;
  /** A new stream is open; its bytes arrive through `onData`. */
  onOpen(stream: LinkStream): void;
  onData(bytes: Uint8Array, taken: () => void): void;
  onDrain?(): void;
  /** Shows the user a sentence between the stream's bytes. */
  onNotice(sentence: string): void;
  /** Whether a stream that ends without a reason was ended by the user inside the VM (a shell's `exit`). */
  readonly endsByUser: boolean;
}

/** Delays before reconnecting, ms; the last one repeats. */
export const RETRY_DELAYS = [500, 1_000, 2_000, 4_000, 8_000] as const;
const HOPELESS: readonly WireError['code'][] = ['vm.missing', 'prefix.missing', 'guest.refused', 'input.invalid', 'not-available'];

/**
 * Keeps one terminal connected: reconnects after a loss (a revert, a reboot) while its VM runs, waits while it is off, and stops when
 * the user has ended it. At most one stream is open at a time.
 */
export class SessionLink {
  readonly #options: LinkOptions;
  #state: LinkState = 'ended';
  #round = 0;
  #failures = 0;
  #channel: ByteChannel | undefined;
  #abort: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #openedAt = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get state(): LinkState {
    return this.#state;
  }

  /** When the current stream was opened, ms since the epoch; 0 before the first. */
  get openedAt(): number {
    return this.#openedAt;
  }

  /** Connects now, whatever the state; drops an open stream. */
  start(): void {
    this.#drop();
    this.#failures = 0;
    void this.#connect();
  }

  /** Drops the stream and reconnects, showing the reason. Does nothing to sessions that the user has ended. */
  renew(reason: string): void {
    if (this.#state === 'ended') return;
    this.#options.onNotice(`${reason}; connecting again`);
    this.start();
  }

  /** Sends bytes to the VM; false when there is no credit or no stream. */
  write(bytes: Uint8Array): boolean {
    return this.#channel?.write(bytes) ?? false;
  }

  /** To be called when the VM's state may have changed. */
  checkVm(): void {
    if (this.#state === 'waiting' && this.#options.isRunning()) this.start();
  }

  /** Closes permanently; no callback follows. */
  close(): void {
    this.#drop();
    this.#state = 'ended';
  }

  #drop(): void {
    // From here on, callbacks of earlier rounds are ignored.
    this.#round += 1;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = undefined;
    this.#channel?.end();
    this.#channel = undefined;
  }

  #set(state: LinkState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#options.onState(state);
  }

  async #connect(): Promise<void> {
    const round = this.#round;
    const { connect, onData, onDrain, onOpen, readError } = this.#options;
    this.#set('connecting');
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const stream = await connect(
        {
          onData: (bytes, taken) => {
            if (round === this.#round) onData(bytes, taken);
            else taken();
          },
          onEnd: (reason) => {
            if (round === this.#round) this.#ended(reason);
          },
          onDrain: () => {
            if (round === this.#round) onDrain?.();
          },
        },
        abort.signal,
      );
      if (round !== this.#round) {
        stream.channel.end();
        return;
      }
      this.#channel = stream.channel;
      this.#openedAt = Date.now();
      onOpen(stream);
      this.#set('connected');
    } catch (error) {
      if (round !== this.#round) return;
      const { code, message, hint } = readError(error);
      if (HOPELESS.includes(code) && this.#options.isRunning()) {
        this.#options.onNotice([message, hint].filter((part) => part !== undefined).join(' '));
        this.#set('ended');
      } else {
        this.#again(message);
      }
    }
  }

  #ended(reason: string | null): void {
    this.#round += 1;
    this.#channel = undefined;
    // A stream that lasted a while was a success: the next loss begins with the shortest delay.
    if (Date.now() - this.#openedAt > 10_000) this.#failures = 0;
    if (reason === null && this.#options.endsByUser && this.#options.isRunning()) {
      this.#options.onNotice('session ended');
      this.#set('ended');
      return;
    }
    this.#again(reason ?? 'connection closed');
  }

  #again(reason: string): void {
    const sentence = reason.replace(/\.$/, '');
    if (!this.#options.isRunning()) {
      this.#options.onNotice(`${sentence}; connects again when the VM runs`);
      this.#set('waiting');
      return;
    }
    // One line per loss, not one per attempt.
    if (this.#failures === 0) this.#options.onNotice(`${sentence}; connecting again`);
    const delay = RETRY_DELAYS[Math.min(this.#failures, RETRY_DELAYS.length - 1)] ?? 8_000;
    this.#failures += 1;
    this.#set('connecting');
    const round = this.#round;
    this.#timer = setTimeout(() => {
      if (round !== this.#round) return;
      if (this.#options.isRunning()) void this.#connect();
      else this.#set('waiting');
    }, delay);
  }
}
