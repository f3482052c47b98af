import { Duplex } from 'node:stream';
import { EngineError } from '../../../../src-shared/errors.ts';
import { drop, silentLog } from '../../core/log.ts';
import type { DomainStatus, Hypervisor } from '../../libvirt/hypervisor.ts';
import { hasCrashed } from './crash.ts';

/** virDomainEventStoppedDetailType. */
const VERBS: readonly string[] = ['was shut down', 'was stopped', 'crashed', 'was moved', 'was saved', 'crashed', 'was reverted'];

/** A VM's name in libvirt and for the user. */
export interface NamedDomain {
  /** Its libvirt name. */
  readonly domain: string;
  readonly vm: string;
}

function stopped(vm: string, verb: string): EngineError {
  return new EngineError('vm.not-running', `VM ${vm} ${verb}.`, { hint: 'Start it again: lago start.' });
}

/** Calls `tell` with a sentence for the user when libvirt reports that the VM stopped. Returns the unsubscriber. */
export function onVmStopped(hypervisor: Hypervisor, { domain, vm }: NamedDomain, tell: (why: EngineError) => void): () => void {
  return hypervisor.onEvent((event) => {
    if (event.type !== 'domain' || event.name !== domain) return;
    if (event.event === 'stopped') tell(stopped(vm, VERBS[event.detail] ?? 'was stopped'));
    else if (event.event === 'crashed') tell(stopped(vm, 'crashed'));
  });
}

/** How long the end of a console waits for libvirt's report that its VM stopped. */
const REASON_MS = 1000;

/** What a stream's end means while its VM runs; `error` is that of the original stream. Undefined: it ends like that one. */
export type EndWhileRunning = (domain: DomainStatus, error: Error | undefined) => Error | undefined;

/**
 * A stream of a running VM. When the VM stops, it ends with the error of `onVmStopped`; otherwise like the original stream. Once its input
 * has ended, the end of the original is its answer.
 */
export class VmStream extends Duplex {
  readonly #raw: Duplex;
  readonly #hypervisor: Hypervisor;
  readonly #of: NamedDomain;
  readonly #whileRunning: EndWhileRunning;
  readonly #forget: () => void;
  #over = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(raw: Duplex, hypervisor: Hypervisor, of: NamedDomain, whileRunning: EndWhileRunning = (_domain, error) => error) {
    super({ allowHalfOpen: false });
    this.#raw = raw;
    this.#hypervisor = hypervisor;
    this.#of = of;
    this.#whileRunning = whileRunning;
    this.#forget = onVmStopped(hypervisor, of, (why) => this.destroy(why));
    raw.on('data', (chunk: Buffer) => {
      if (!this.push(chunk)) raw.pause();
    });
    raw.on('error', (error) => this.#ended(error));
    raw.on('end', () => {
      if (this.writableEnded) this.push(null);
      else this.#ended(undefined);
    });
    raw.on('close', () => this.#ended(undefined));
  }

  #ended(error: Error | undefined): void {
    if (this.#over) return;
    this.#over = true;
    drop(this.#end(error), silentLog, 'console');
  }

  /** QEMU hangs up before libvirt detects its end, so the reason arrives a moment later. */
  async #end(error: Error | undefined): Promise<void> {
    const { domain, vm } = this.#of;
    try {
      const now = await this.#hypervisor.findDomain(domain);
      if (this.destroyed) return;
      if (now === undefined || now.id < 0) this.destroy(stopped(vm, now !== undefined && hasCrashed(now) ? 'crashed' : 'was stopped'));
      else this.#timer = setTimeout(() => this.#finish(this.#whileRunning(now, error)), REASON_MS);
    } catch (failure) {
      this.destroy(error ?? (failure instanceof Error ? failure : new Error(String(failure))));
    }
  }

  #finish(error: Error | undefined): void {
    if (error === undefined) this.push(null);
    else this.destroy(error);
  }

  override _read(): void {
    this.#raw.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#raw.write(chunk, encoding, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#raw.end(done);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#forget();
    this.#raw.destroy();
    done(error);
  }
}
