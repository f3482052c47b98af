import { type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import { EngineError } from '../../../../src-shared/errors.ts';
import { drop, type Log } from '../../core/log.ts';
import { sleep } from '../../core/until.ts';
import type { Refusal } from '../dial.ts';
import { DhcpScan } from './dhcp-scan.ts';
import { describeWait, diagnose } from './diagnose.ts';
import type { BootFacts, SshFacts, Surroundings } from './facts.ts';
import { SerialScan, type Sign } from './serial-scan.ts';

/** The VM whose boot is watched. Times are ms since the epoch. */
export interface BootSubject {
  readonly vm: string;
  readonly user: string;
  readonly address: string | undefined;
  readonly network: string | undefined;
  readonly startedAt: number | undefined;
  /** It continues from a snapshot with memory instead of booting. */
  readonly continued: boolean;
  /** It has a cloud-init seed. */
  readonly cloudInit: boolean;
}

/** Where the evidence comes from. Iterations end on abort, or at the present when only that is asked for. */
export interface BootSources {
  /** What the serial console has printed since the start, then what it prints; `fresh` once the present is reached. */
  readonly serial?: ((signal: AbortSignal) => AsyncIterable<{ readonly bytes: Uint8Array; readonly fresh: boolean }>) | undefined;
  readonly dhcp?:
    | {
        readonly mac: string;
        /** The log of the network's DHCP server. */
        readonly log?: ((signal: AbortSignal) => AsyncIterable<Uint8Array>) | undefined;
        /** The address that it has leased to this card, where there is no log. */
        readonly lease?: ((signal: AbortSignal) => Promise<string | undefined>) | undefined;
      }
    | undefined;
  /** Called every few seconds while the VM is not up. `quietMs`: how long there has been no news. */
  readonly around: (state: BootState, quietMs: number, signal: AbortSignal) => Promise<Surroundings>;
}

export interface BootWatchOptions {
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Called when the state has changed. */
  readonly onChange?: (() => void) | undefined;
  /** What is found out was true before: it has no time. */
  readonly once?: boolean;
  readonly now?: () => number;
}

const LOOK_MS = 4000;
/** The longest time that a timer can take. */
const FOREVER_MS = 2 ** 31 - 1;
const NOTHING: Surroundings = { linksDown: [], dhcpServer: undefined, neighbour: undefined, suspended: false, agent: false };

/**
 * Collects the evidence of one VM's boot until `signal` aborts. It connects to nothing: whoever tries ssh asks `mayAnswer`, waits for `news`
 * and tells it the outcome.
 */
export class BootWatch {
  readonly #subject: BootSubject;
  readonly #sources: BootSources;
  readonly #options: BootWatchOptions;
  readonly #serial: SerialScan | undefined;
  #dhcp: DhcpScan | undefined;
  #startedAt: number | undefined;
  #restarts = 0;
  readonly #waiting = new Set<() => void>();
  #ssh: SshFacts = { answered: undefined, login: undefined, refusal: undefined };
  #cloudInit: BootFacts['cloudInit'];
  #around = NOTHING;
  #agent: Sign | undefined;
  #state: BootState;
  #text: string;
  #newsAt: number;
  #fatalSince: number | undefined;

  constructor(subject: BootSubject, sources: BootSources, options: BootWatchOptions) {
    this.#subject = subject;
    this.#sources = sources;
    this.#options = options;
    this.#serial = sources.serial === undefined ? undefined : new SerialScan();
    this.#startedAt = subject.startedAt;
    this.#dhcp = sources.dhcp === undefined ? undefined : new DhcpScan(sources.dhcp.mac, subject.startedAt ?? 0);
    this.#cloudInit = subject.cloudInit ? { finished: undefined, failed: undefined } : undefined;
    this.#newsAt = this.#now();
    this.#state = diagnose(this.#facts(), this.#newsAt);
    this.#text = JSON.stringify(this.#state);
  }

  /** Begins to follow the sources. */
  begin(): void {
    const { signal, log } = this.#options;
    const name = this.#subject.vm;
    for (const [what, work] of [
      ['serial console', this.#followSerial(signal)],
      ['addresses', this.#followDhcp(signal)],
      ['surroundings', this.#lookAround(signal)],
    ] as const) {
      drop(untilAborted(work, signal), log, `Watching the ${what} of ${name}`);
    }
  }

  /** Reads what the sources have now, and looks around once; for a single answer instead of a watch. */
  async readOnce(): Promise<void> {
    const { signal } = this.#options;
    await Promise.all([this.#followSerial(signal), this.#followDhcp(signal)]);
    this.#around = await this.#sources.around(this.#state, FOREVER_MS, signal);
    this.agentAnswers(this.#around.agent);
    this.#update();
  }

  /** When QEMU was started, or the guest was last seen starting over; undefined when unknown. */
  get startedAt(): number | undefined {
    return this.#startedAt;
  }

  /** The state now. */
  state(): BootState {
    this.#update();
    return this.#state;
  }

  /** What is being waited for, in words. */
  describe(): string {
    return describeWait(this.state(), this.#subject.vm);
  }

  /** How long nothing has been heard of the guest, ms. */
  quietMs(): number {
    return this.#now() - this.#newsAt;
  }

  /** How long the guest has been known to have failed for good (unless it starts over), ms; undefined when it has not. */
  failedForMs(): number | undefined {
    return this.#fatalSince === undefined ? undefined : this.#now() - this.#fatalSince;
  }

  /** Whether an attempt at ssh can succeed: false while the guest has no address yet or has failed. */
  mayAnswer(): boolean {
    const { continued } = this.#subject;
    const serial = this.#serial?.signs();
    if (serial?.fatal !== undefined || this.#around.suspended) return false;
    if (continued || this.#startedAt === undefined || this.#dhcp === undefined) return true;
    return this.#dhcp.signs().given !== undefined || serial?.prompt !== undefined || this.#agent !== undefined;
  }

  /** Waits for evidence that makes another attempt worthwhile, at most `timeoutMs`. Rejects with `cancelled`. */
  async news(timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const heard = new AbortController();
    const wake = (): void => heard.abort();
    this.#waiting.add(wake);
    try {
      await sleep(timeoutMs, signal === undefined ? heard.signal : AbortSignal.any([signal, heard.signal]));
    } catch (error) {
      if (signal?.aborted === true || !heard.signal.aborted) throw error;
    } finally {
      this.#waiting.delete(wake);
    }
  }

  /** An attempt at ssh failed. */
  refused(reason: Refusal, error: EngineError): void {
    const now = this.#now();
    const known = this.#ssh.refusal;
    const closed = reason === 'no-answer' || reason === 'refused';
    const answered = closed ? undefined : (this.#ssh.answered ?? { at: this.#seenAt(), line: 'port 22 is open' });
    const since = known?.reason === reason ? known.since : now;
    this.#ssh = { answered, login: undefined, refusal: { reason, message: error.message, since } };
    this.#update();
  }

  /** A login was accepted; `line` says by what. */
  loggedIn(line: string): void {
    const sign = { at: this.#seenAt(), line };
    this.#ssh = {
      answered: this.#ssh.answered ?? { at: sign.at, line: 'port 22 is open' },
      login: this.#ssh.login ?? sign,
      refusal: undefined,
    };
    this.#update();
  }

  /** What cloud-init in the guest says about itself; undefined for "still at work". */
  cloudInitSays(outcome: { readonly failed: string | undefined } | undefined): void {
    if (this.#cloudInit === undefined || outcome === undefined) return;
    const finished = this.#cloudInit.finished ?? { at: this.#serial?.signs().cloudInit?.at ?? this.#seenAt(), line: 'finished' };
    this.#cloudInit = { finished: outcome.failed === undefined ? finished : undefined, failed: outcome.failed };
    this.#update();
  }

  /** The guest agent began or ceased to answer. */
  agentAnswers(answers: boolean): void {
    if (answers === (this.#agent !== undefined)) return;
    this.#agent = answers ? { at: this.#seenAt(), line: 'the guest agent answers' } : undefined;
    if (answers) this.#ring();
    this.#update();
  }

  /** The guest starts over, while QEMU runs on. */
  restarted(): void {
    this.#serial?.reset();
    this.#beginAgain();
  }

  /** Resolves at the next sign that the guest starts over, or that its kernel has died. Rejects with `cancelled`. */
  async startsOver(signal: AbortSignal): Promise<void> {
    const seen = this.#restarts;
    while (this.#restarts === seen) await this.news(FOREVER_MS, signal);
  }

  #beginAgain(): void {
    this.#startedAt = this.#now();
    if (this.#sources.dhcp !== undefined) this.#dhcp = new DhcpScan(this.#sources.dhcp.mac, this.#startedAt);
    this.#fatalSince = undefined;
    this.#agent = undefined;
    this.#forgetServices();
  }

  /** Nothing that the guest's services have shown counts any more. */
  #forgetServices(): void {
    this.#restarts += 1;
    this.#ssh = { answered: undefined, login: undefined, refusal: undefined };
    this.#ring();
    this.#update();
  }

  async #followSerial(signal: AbortSignal): Promise<void> {
    const scan = this.#serial;
    if (scan === undefined || this.#sources.serial === undefined) return;
    for await (const { bytes, fresh } of this.#sources.serial(signal)) {
      const before = scan.signs();
      if (!scan.push(bytes, fresh ? this.#now() : null)) continue;
      const { kernel, fatal, cloudInit } = scan.signs();
      this.#fatalSince = fatal === undefined ? undefined : (this.#fatalSince ?? this.#now());
      if (cloudInit !== undefined && this.#cloudInit !== undefined && this.#cloudInit.finished === undefined) {
        this.#cloudInit = { ...this.#cloudInit, finished: cloudInit };
      }
      if (fresh && before.kernel !== undefined && kernel !== before.kernel) this.#beginAgain();
      else if (fatal?.kind === 'panic' && before.fatal === undefined && this.#ssh.login !== undefined) this.#forgetServices();
      this.#ring();
      this.#update();
    }
  }

  async #followDhcp(signal: AbortSignal): Promise<void> {
    const { dhcp } = this.#sources;
    for await (const bytes of dhcp?.log?.(signal) ?? []) {
      if (this.#dhcp?.push(bytes) !== true) continue;
      this.#ring();
      this.#update();
    }
    const address = await dhcp?.lease?.(signal);
    if (address === undefined || this.#dhcp?.lease(address, null) !== true) return;
    this.#ring();
    this.#update();
  }

  async #lookAround(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const state = this.state();
      if (waitingStage(state) === undefined) {
        await this.news(FOREVER_MS, signal);
        continue;
      }
      await sleep(LOOK_MS, signal);
      if (this.#ssh.login === undefined) await this.#lookOnce(state, signal);
      this.#update();
    }
  }

  /** A host that does not answer may answer the next time. */
  async #lookOnce(state: BootState, signal: AbortSignal): Promise<void> {
    try {
      this.#around = await this.#sources.around(state, this.quietMs(), signal);
      this.agentAnswers(this.#around.agent);
    } catch (error) {
      if (signal.aborted || !(error instanceof EngineError)) throw error;
      this.#options.log.debug(`${this.#subject.vm}: ${error.message}`);
    }
  }

  #ring(): void {
    this.#newsAt = this.#now();
    for (const wake of this.#waiting) wake();
  }

  #seenAt(): number | null {
    return this.#options.once === true ? null : this.#now();
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #facts(): BootFacts {
    return {
      ...this.#subject,
      startedAt: this.#startedAt,
      serial: this.#serial?.signs(),
      dhcp: this.#dhcp?.signs(),
      ssh: this.#ssh,
      cloudInit: this.#cloudInit,
      around: this.#around,
      agent: this.#agent,
    };
  }

  #update(): void {
    const state = diagnose(this.#facts(), this.#now());
    const text = JSON.stringify(state);
    if (text === this.#text) return;
    this.#state = state;
    this.#text = text;
    this.#options.onChange?.();
  }
}

async function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
