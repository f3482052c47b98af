import { Duplex } from 'node:stream';
import { isCancelled } from '../../src-shared/errors.ts';
import { drop, silentLog } from './core/log.ts';
import type { Vms } from './engine.ts';
import type { ShellSession } from './runtime/shell-request.ts';

export interface TerminalRequest {
  readonly vm: string;
  readonly kind: 'ssh' | 'serial' | 'screen';
  readonly columns: number;
  readonly rows: number;
}

export interface OpenTerminal {
  readonly stream: Duplex;
  readonly resize: ((columns: number, rows: number) => void) | undefined;
}

/**
 * Opens the byte stream of a terminal or screen. `ssh` returns at once and shows in the stream what it is waiting for; the others wait,
 * until `signal` aborts.
 */
export async function openTerminal(
  vms: Vms,
  prefix: string,
  request: TerminalRequest,
  signal: AbortSignal | undefined,
): Promise<OpenTerminal> {
  switch (request.kind) {
    case 'serial':
      return { stream: await vms.console(prefix, request.vm, { signal }), resize: undefined };
    case 'screen':
      return { stream: await vms.screen(prefix, request.vm, signal), resize: undefined };
    case 'ssh': {
      const stream = new SshTerminal(vms, prefix, request);
      return { stream, resize: (columns, rows) => stream.resize(columns, rows) };
    }
  }
}

const TYPE_AHEAD = 4096;

/** A terminal that shows its own connecting; ends cleanly when the shell ends, with an error when the connection is lost. */
class SshTerminal extends Duplex {
  readonly #abort = new AbortController();
  #session: ShellSession | undefined;
  #size: { columns: number; rows: number };
  #typed: Buffer = Buffer.alloc(0);

  constructor(vms: Vms, prefix: string, request: TerminalRequest) {
    super({ allowHalfOpen: false });
    this.#size = { columns: request.columns, rows: request.rows };
    drop(this.#connect(vms, prefix, request.vm), silentLog, 'ssh terminal');
  }

  resize(columns: number, rows: number): void {
    this.#size = { columns, rows };
    this.#session?.resize(columns, rows);
  }

  async #connect(vms: Vms, prefix: string, vm: string): Promise<void> {
    try {
      let waited = false;
      const session = await vms.shell(prefix, {
        vm,
        pty: { ...this.#size, term: 'xterm-256color' },
        signal: this.#abort.signal,
        onWait: (message) => {
          waited = true;
          this.push(`\r\x1b[2m${message}\x1b[0m\x1b[K`);
        },
      });
      if (this.destroyed) {
        await session[Symbol.asyncDispose]();
        return;
      }
      if (waited) this.push('\r\x1b[K');
      this.#attach(session);
    } catch (error) {
      // Closing the tab during connecting is not a failure.
      this.destroy(isCancelled(error) || !(error instanceof Error) ? undefined : error);
    }
  }

  #attach(session: ShellSession): void {
    this.#session = session;
    session.resize(this.#size.columns, this.#size.rows);
    session.stream.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) session.stream.pause();
    });
    session.stream.on('error', (error) => this.destroy(error));
    // Not at `exit`: the guest's last output may still be in transit.
    session.stream.on('end', () => this.push(null));
    drop(this.#watch(session), silentLog, 'ssh session');
    if (this.#typed.length > 0) session.stream.write(this.#typed);
    this.#typed = Buffer.alloc(0);
  }

  /** Ends the terminal with the reason when the session is lost. */
  async #watch(session: ShellSession): Promise<void> {
    try {
      await session.exit;
    } catch (error) {
      this.destroy(asError(error));
    }
  }

  override _read(): void {
    this.#session?.stream.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#session !== undefined) {
      this.#session.stream.write(chunk, done);
      return;
    }
    if (this.#typed.length + chunk.length <= TYPE_AHEAD) this.#typed = Buffer.concat([this.#typed, chunk]);
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#abort.abort();
    drop(this.#close(error, done), silentLog, 'ssh terminal');
  }

  async #close(error: Error | null, done: (error?: Error | null) => void): Promise<void> {
    try {
      await this.#session?.[Symbol.asyncDispose]();
      done(error);
    } catch (failure) {
      done(error ?? asError(failure));
    }
  }
}

function asError(value: unknown): Error {
  return value instanceof Error ? value : new Error(String(value));
}
