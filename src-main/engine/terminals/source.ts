import { EngineError } from '../../../src-shared/errors.ts';
import type { TerminalStatus } from '../../../src-shared/terminal.ts';
import type { Vms } from '../engine.ts';
import type { ConsoleHub, ConsoleSeat } from '../runtime/console/console-hub.ts';
import { Link, type LinkReason } from '../runtime/link.ts';
import type { ShellSession } from '../runtime/shell-request.ts';

/** Who gets a source's output. */
export interface Sink {
  /** False asks for no more until `Source.ready`. */
  onOutput(bytes: Buffer): boolean;
  onStatus(status: TerminalStatus, reason: LinkReason): void;
  /** Shows a sentence on a line of its own. */
  onNotice(sentence: string): void;
}

/** What a session is connected to; it reconnects by itself. */
export interface Source {
  write(bytes: Buffer, done: () => void): void;
  ready(): void;
  resize(columns: number, rows: number): void;
  /** Connects again, now, after it was ended or taken. */
  reconnect(): void;
  /** The VM's state may have changed. */
  checkVm(): void;
  /** What was connected before `since` (ms) talks to a guest that has forgotten it. */
  renew(reason: string, since: number): void;
  close(): void;
}

export interface ShellTarget {
  readonly prefix: string;
  readonly vm: string;
  readonly columns: number;
  readonly rows: number;
  isRunning(): boolean;
}

/** Typed before the shell was there. */
const TYPE_AHEAD = 4096;
/** Seconds of waiting for ssh after which the serial console is proposed. */
const PATIENCE_S = 5;
/** 128 + SIGHUP, SIGKILL, SIGTERM: how shells end when the guest goes down rather than by the user's `exit`. */
const KILLED = [129, 137, 143];

/** A login shell by ssh. Shows what it waits for. */
export function shellSource(vms: Vms, target: ShellTarget, sink: Sink): Source {
  const { prefix, vm, isRunning } = target;
  let size = { columns: target.columns, rows: target.rows };
  let session: ShellSession | undefined;
  let typed: Buffer = Buffer.alloc(0);
  const link = new Link({
    isRunning,
    async open(signal) {
      let seconds = 0;
      const opened = await vms.shell(prefix, {
        vm,
        pty: { ...size, term: 'xterm-256color' },
        signal,
        onWait: (message) => {
          seconds += 1;
          if (seconds === PATIENCE_S) sink.onNotice('ssh does not answer yet; Ctrl+Shift+S opens the serial console');
          sink.onOutput(Buffer.from(`\r\x1b[2m${message}\x1b[0m\x1b[K`));
        },
      });
      if (seconds > 0) sink.onOutput(Buffer.from('\r\x1b[K'));
      session = opened;
      return opened.stream;
    },
    onOpen(stream) {
      const { columns, rows } = size;
      session?.resize(columns, rows);
      stream.on('data', (chunk: Buffer) => {
        if (!sink.onOutput(chunk)) stream.pause();
      });
      // Not at its exit: the guest's last output may still be in transit.
      stream.once('end', () => stream.destroy());
      if (typed.length > 0) stream.write(typed);
      typed = Buffer.alloc(0);
    },
    async whyEnded() {
      const code = await session?.exit;
      if (code === undefined || !KILLED.includes(code)) return undefined;
      return new EngineError('guest.unreachable', `${vm} ended the session.`);
    },
    onStatus: (status, reason) => sink.onStatus(status, reason),
  });
  link.start();
  return {
    write(bytes, done) {
      if (link.stream !== undefined) {
        link.stream.write(bytes, () => done());
        return;
      }
      if (typed.length + bytes.length <= TYPE_AHEAD) typed = Buffer.concat([typed, bytes]);
      done();
    },
    ready: () => link.stream?.resume(),
    resize(columns, rows) {
      size = { columns, rows };
      if (link.stream !== undefined) session?.resize(columns, rows);
    },
    reconnect: () => link.start(),
    checkVm: () => link.checkVm(),
    renew: (reason, since) => {
      if (link.openedAt < since) link.renew(reason);
    },
    close: () => link.close(),
  };
}

/** The serial console, shared with all others who look at it. Has no size. */
export async function consoleSource(hub: ConsoleHub, sink: Sink): Promise<Source> {
  const seat: ConsoleSeat = await hub.join({
    onOutput: (bytes) => sink.onOutput(bytes),
    onStatus: (status, reason) => sink.onStatus(status, reason),
  });
  if (seat.history.length > 0) sink.onOutput(seat.history);
  sink.onStatus(seat.status, {});
  return {
    write: (bytes, done) => seat.write(bytes, () => done()),
    ready: () => seat.ready(),
    resize: () => undefined,
    reconnect: () => seat.reconnect(),
    checkVm: () => hub.checkVm(),
    renew: () => undefined,
    close: () => seat.leave(),
  };
}
