import type { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { TerminalStatus } from '../../../../src-shared/terminal.ts';
import { drop, type Log } from '../../core/log.ts';
import type { HostLogs } from '../../host/host.ts';
import { Link, type LinkReason } from '../link.ts';
import { LOCAL_LOGS } from './serial-log.ts';

/** Bytes of output that a hub keeps, and reads from the log when it begins. */
export const KEPT_BYTES = 1024 * 1024;
const PIECE = 64 * 1024;
/** How long the log may be silent while the console talks before it counts as dead: its service was killed. */
const LOG_SILENCE_MS = 1000;
/** How long a guest may print nothing, and how slowly it may read (bytes per ms), before the end of input is given up. A busy one reads 6. */
const UNREAD_MS = 10_000;
const SLOWEST_READING = 1;

export interface HubOptions {
  /** Opens the VM's console, taking it from any other program. Fails with `conflict.taken` when another one takes it. */
  open(signal: AbortSignal): Promise<Duplex>;
  /** The VM's serial log; see `serial-log.ts`. Undefined where there is none that we may read. */
  readonly log: string | undefined;
  /** Finds what reads the log; default: it is a file of this machine. */
  readonly logs?: (() => Promise<HostLogs>) | undefined;
  isRunning(): boolean;
  readonly engineLog: Log;
}

/** Someone who looks at a serial console. */
export interface ConsoleUser {
  /** Takes output; false asks for no more until `ConsoleSeat.ready`. The console waits for its slowest user. */
  onOutput(bytes: Buffer): boolean;
  onStatus(status: TerminalStatus, reason: LinkReason): void;
}

/** A user's place at a console. */
export interface ConsoleSeat {
  /** What was printed before, at most `KEPT_BYTES`. Output of later is passed to `onOutput`. */
  readonly history: Buffer;
  readonly status: TerminalStatus;
  /** Sends input. Dropped, and confirmed, while the console is not connected. */
  write(bytes: Buffer, done: (error?: Error | null) => void): void;
  /**
   * No more input comes from this user. Where nobody else uses the console, waits until the VM's serial port has taken all input: libvirt
   * drops what it still holds when a console is closed. Fails with the reason when the console breaks, or with `guest.unreachable`.
   */
  finish(done: (error?: Error | null) => void): void;
  /** Ready for output again. */
  ready(): void;
  /** Connects again, now, and takes the console from another program. */
  reconnect(): void;
  leave(): void;
}

/**
 * One VM's serial console, shared by any number of users: all see the same output, and the input of all goes to the guest. Output comes
 * from the VM's serial log where we may read it, so that what was printed before, what is printed now and what is printed while the
 * console is closed, taken or the VM restarts join without a gap or a repetition; otherwise from the console itself.
 */
export class ConsoleHub {
  readonly #options: HubOptions;
  readonly #link: Link;
  readonly #users = new Set<ConsoleUser>();
  /** Users, and those that are about to be. */
  #count = 0;
  readonly #busy = new Set<ConsoleUser>();
  #onReady: () => void = () => undefined;
  #begun: Promise<void> | undefined;
  /** Aborted when the console closes. */
  #life = new AbortController();
  #kept: Buffer[] = [];
  #keptBytes = 0;
  /** Set while output comes from the log. */
  #following: AbortController | undefined;
  #loggedAt = 0;
  /** Console output that the log has not told yet. */
  #untold: Buffer[] = [];
  #silence: NodeJS.Timeout | undefined;
  /** When the guest should have read all input so far, ms since the epoch, if it reads as slowly as it may. */
  #readBy = 0;

  constructor(options: HubOptions) {
    this.#options = options;
    this.#link = new Link({
      open: async (signal) => await options.open(signal),
      isRunning: () => options.isRunning(),
      onOpen: (stream) => drop(this.#listen(stream), options.engineLog, 'serial console'),
      onStatus: (status, reason) => {
        for (const user of this.#users) user.onStatus(status, reason);
      },
    });
  }

  /** Adds a user; the first one opens the console, the last one who leaves closes it. */
  async join(user: ConsoleUser): Promise<ConsoleSeat> {
    this.#count += 1;
    this.#begun ??= this.#begin();
    try {
      await this.#begun;
    } catch (error) {
      this.#left();
      throw error;
    }
    // From here to the end without an await, or output would be missing or come twice.
    const history = Buffer.concat(this.#kept);
    this.#users.add(user);
    return {
      history,
      status: this.#link.status,
      write: (bytes, done) => {
        const { stream } = this.#link;
        if (stream === undefined || !stream.writable) done();
        // A console that breaks reports it as its end; the input is lost with it.
        else stream.write(bytes, () => done());
        this.#readBy = Math.max(this.#readBy, Date.now()) + bytes.length / SLOWEST_READING;
      },
      finish: (done) => {
        const { stream } = this.#link;
        if (this.#count > 1 || stream === undefined || !stream.writable) done();
        else this.#finish(stream, done);
      },
      ready: () => this.#readyAgain(user),
      reconnect: () => this.#link.start(),
      leave: () => {
        if (!this.#users.delete(user)) return;
        this.#readyAgain(user);
        this.#left();
      },
    };
  }

  /** To be called when the VM's state may have changed. */
  checkVm(): void {
    this.#link.checkVm();
  }

  /** Closes the console for everyone; nothing follows. */
  close(): void {
    this.#life.abort();
    this.#link.close();
    this.#following?.abort();
    this.#following = undefined;
    clearTimeout(this.#silence);
    this.#untold = [];
    this.#readBy = 0;
  }

  #finish(stream: Duplex, done: (error?: Error | null) => void): void {
    let printedAt = Date.now();
    const printed = (): void => {
      printedAt = Date.now();
    };
    const check = setInterval(() => {
      if (Date.now() < Math.max(this.#readBy, printedAt) + UNREAD_MS) return;
      settled();
      const hint = 'Does a program in the guest read its serial console?';
      done(new EngineError('guest.unreachable', 'The guest has not read all that was sent to its serial console.', { hint }));
    }, 1000);
    const closed = (): void => {
      settled();
      // Somebody has come meanwhile, whose input needs a new stream.
      if (this.#count > 1 && stream.readableEnded) this.#link.start();
      done(stream.errored);
    };
    const settled = (): void => {
      clearInterval(check);
      stream.off('data', printed).off('close', closed);
    };
    stream.on('data', printed).once('close', closed);
    stream.end();
  }

  async #begin(): Promise<void> {
    const life = new AbortController();
    this.#life = life;
    await this.#followLog(KEPT_BYTES);
    if (!life.signal.aborted) this.#link.start();
  }

  #left(): void {
    this.#count -= 1;
    if (this.#count > 0) return;
    this.close();
    this.#begun = undefined;
    this.#kept = [];
    this.#keptBytes = 0;
  }

  async #followLog(tailBytes: number): Promise<void> {
    const { log, engineLog } = this.#options;
    if (log === undefined) return;
    const { signal } = this.#life;
    const logs = (await this.#options.logs?.()) ?? LOCAL_LOGS;
    const tail = await logs.tail(log, tailBytes);
    if (tail === undefined || signal.aborted) return;
    for (let at = 0; at < tail.bytes.length; at += PIECE) this.#output(tail.bytes.subarray(at, at + PIECE));
    const following = new AbortController();
    this.#following = following;
    drop(this.#readLog(logs.follow(log, tail.end, following.signal), following), engineLog, `Following ${log}`);
  }

  async #readLog(chunks: AsyncIterable<Buffer>, following: AbortController): Promise<void> {
    try {
      for await (const chunk of chunks) {
        if (following.signal.aborted) return;
        this.#loggedAt = Date.now();
        this.#untold = [];
        clearTimeout(this.#silence);
        this.#output(chunk);
        await this.#allReady();
      }
    } finally {
      if (this.#following === following) this.#useConsole();
    }
  }

  async #listen(stream: Duplex): Promise<void> {
    // The VM may have got its log only with this start. The console's own output waits in the stream meanwhile.
    if (this.#following === undefined) await this.#followLog(this.#keptBytes === 0 ? KEPT_BYTES : 0);
    if (stream.destroyed) return;
    stream.on('data', (chunk: Buffer) => {
      if (this.#following === undefined) this.#output(chunk);
      else this.#overhear(chunk);
      if (this.#busy.size === 0) return;
      stream.pause();
      drop(this.#resume(stream), this.#options.engineLog, 'serial console');
    });
  }

  async #resume(stream: Duplex): Promise<void> {
    await this.#allReady();
    stream.resume();
  }

  /** The console's copy of what the log is about to tell, or has just told. */
  #overhear(chunk: Buffer): void {
    if (Date.now() - this.#loggedAt < LOG_SILENCE_MS) return;
    this.#untold.push(chunk);
    if (this.#untold.length > 1) return;
    const check = (): void => {
      if (this.#untold.length === 0) return;
      // The log is not read while a user is busy, so its silence says nothing.
      if (this.#busy.size > 0) this.#silence = setTimeout(check, LOG_SILENCE_MS);
      else this.#useConsole();
    };
    clearTimeout(this.#silence);
    this.#silence = setTimeout(check, LOG_SILENCE_MS);
    this.#silence.unref();
  }

  /** The log has died: output comes from the console from here on. */
  #useConsole(): void {
    this.#following?.abort();
    this.#following = undefined;
    const untold = this.#untold;
    this.#untold = [];
    for (const chunk of untold) this.#output(chunk);
  }

  #output(chunk: Buffer): void {
    this.#keep(chunk);
    for (const user of this.#users) if (!user.onOutput(chunk)) this.#busy.add(user);
  }

  #keep(chunk: Buffer): void {
    this.#kept.push(chunk);
    this.#keptBytes += chunk.length;
    while (this.#keptBytes - (this.#kept[0]?.length ?? 0) >= KEPT_BYTES) this.#keptBytes -= this.#kept.shift()?.length ?? 0;
  }

  async #allReady(): Promise<void> {
    while (this.#busy.size > 0) {
      await new Promise<void>((resolve) => {
        const before = this.#onReady;
        this.#onReady = () => {
          before();
          resolve();
        };
      });
    }
  }

  #readyAgain(user: ConsoleUser): void {
    if (!this.#busy.delete(user) || this.#busy.size > 0) return;
    const wake = this.#onReady;
    this.#onReady = () => undefined;
    wake();
  }
}

/** The last `lines` lines of terminal output, at most `bytes`; begins with a whole line. */
export function lastLines(output: Buffer, lines: number, bytes: number): Buffer {
  let from = output.length;
  for (let left = lines; left > 0 && from > 0; left--) {
    const newline = from < 2 ? -1 : output.lastIndexOf(0x0a, from - 2);
    if (output.length - (newline + 1) > bytes) return output.subarray(from === output.length ? output.length - bytes : from);
    from = newline + 1;
  }
  return output.subarray(from);
}
