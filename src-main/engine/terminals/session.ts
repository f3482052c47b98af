import { Duplex } from 'node:stream';
import type { TerminalState, TerminalStatus } from '../../../src-shared/terminal.ts';
import { drop, silentLog } from '../core/log.ts';
import type { LinkReason } from '../runtime/link.ts';
import type { SessionScreen } from './screen.ts';
import type { Sink, Source } from './source.ts';

const ENTER = 0x0d;
/** Leaves what a full-screen program has set and cannot reset any more: other screen, hidden cursor, mouse and paste modes. */
const SANE = '\x1b[?47l\x1b[!p\x1b[?1000;1002;1003;1006;2004l';
const INVITATIONS: Partial<Record<TerminalStatus, string>> = {
  ended: 'press Enter to connect again',
  taken: 'press Enter to take it back',
};

/**
 * A terminal that belongs to the engine: it keeps its screen, its history and its connection while its page is reloaded or gone. At most
 * one page is attached at a time.
 */
export class TerminalSession implements Sink {
  readonly #of: Omit<TerminalState, 'status'>;
  readonly #screen: SessionScreen;
  readonly #onChange: () => void;
  #source: Source | undefined;
  #status: TerminalStatus = 'connecting';
  #page: PageStream | undefined;
  #blocked = false;

  constructor(of: Omit<TerminalState, 'status'>, screen: SessionScreen, onChange: () => void) {
    this.#of = of;
    this.#screen = screen;
    this.#onChange = onChange;
  }

  get state(): TerminalState {
    return { ...this.#of, status: this.#status };
  }

  /** Whether a page shows it. */
  get attached(): boolean {
    return this.#page !== undefined;
  }

  connect(source: Source): void {
    this.#source = source;
  }

  /** A page's stream: first what draws the present screen and history, then live output. Replaces the page before. */
  attach(columns: number, rows: number): Duplex {
    this.#page?.destroy();
    this.resize(columns, rows);
    const page = new PageStream({
      onInput: (bytes, done) => this.#input(bytes, done),
      onReady: () => this.#resume(),
      onGone: () => {
        if (this.#page === page) this.#page = undefined;
        this.#resume();
        this.#onChange();
      },
    });
    this.#page = page;
    drop(this.#begin(page), silentLog, 'terminal');
    return page;
  }

  async #begin(page: PageStream): Promise<void> {
    page.begin(Buffer.from(await this.#screen.serialize()));
  }

  resize(columns: number, rows: number): void {
    this.#screen.resize(columns, rows);
    this.#source?.resize(columns, rows);
  }

  onOutput(bytes: Buffer): boolean {
    const drawn = this.#screen.write(bytes);
    const taken = this.#page?.output(bytes) ?? true;
    this.#blocked ||= !drawn || !taken;
    return drawn && taken;
  }

  onStatus(status: TerminalStatus, { notice }: LinkReason): void {
    const invitation = INVITATIONS[status];
    const parts = [notice, invitation].filter((part) => part !== undefined);
    if (notice !== undefined) this.onNotice(parts.join('; '));
    if (status === this.#status) return;
    this.#status = status;
    this.#onChange();
  }

  onNotice(sentence: string): void {
    this.onOutput(Buffer.from(`${SANE}\r\n\x1b[0m\x1b[2m— ${sentence} —\x1b[0m\r\n`));
  }

  /** The screen can draw more. */
  onDrained(): void {
    this.#resume();
  }

  checkVm(): void {
    this.#source?.checkVm();
  }

  renew(reason: string, since: number): void {
    this.#source?.renew(reason, since);
  }

  close(): void {
    this.#source?.close();
    this.#page?.destroy();
    this.#screen.dispose();
  }

  #resume(): void {
    if (!this.#blocked || this.#page?.isFull === true) return;
    this.#blocked = false;
    this.#source?.ready();
  }

  #input(bytes: Buffer, done: () => void): void {
    if (this.#status in INVITATIONS) {
      if (bytes.includes(ENTER)) this.#source?.reconnect();
      done();
    } else if (this.#source === undefined) done();
    else this.#source.write(bytes, done);
  }
}

/** Output that may wait for the page's credit, bytes. The echo of a key waits behind it. */
const AHEAD = 32 * 1024;

interface PageEvents {
  onInput(bytes: Buffer, done: () => void): void;
  onReady(): void;
  onGone(): void;
}

/** The bytes between a session and its page. */
class PageStream extends Duplex {
  readonly #events: PageEvents;
  /** Output that arrived before the screen was told. */
  #held: Buffer[] | undefined = [];
  #full = false;

  constructor(events: PageEvents) {
    super({ allowHalfOpen: false, readableHighWaterMark: AHEAD });
    this.#events = events;
  }

  get isFull(): boolean {
    return this.#full || this.#held !== undefined;
  }

  begin(screen: Buffer): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (this.destroyed) return;
    for (const bytes of [screen, ...held]) if (bytes.length > 0) this.#full = !this.push(bytes);
    if (!this.#full) this.#events.onReady();
  }

  output(bytes: Buffer): boolean {
    if (this.#held !== undefined) {
      this.#held.push(bytes);
      return false;
    }
    if (this.destroyed) return true;
    this.#full = !this.push(bytes);
    return !this.#full;
  }

  override _read(): void {
    this.#full = false;
    this.#events.onReady();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#events.onInput(chunk, done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#events.onGone();
    done(error);
  }
}
