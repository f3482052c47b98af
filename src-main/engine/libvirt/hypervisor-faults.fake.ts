import { EngineError } from '../../../src-shared/errors.ts';
import { faultPoint } from '../core/fault.ts';
import type { Hypervisor } from './hypervisor.ts';

/** An error as libvirt would return it. `code` is libvirt's error number. */
export function libvirtError(message: string, code: number): EngineError {
  return new EngineError('hypervisor.failed', message, { details: { procedure: 'fake', libvirtCode: code, libvirtDomain: 0 } });
}

/** Methods that can be made to fail. */
export type FakeMethod = Exclude<keyof Hypervisor, 'uri' | 'onEvent' | 'close' | 'whenConnected' | typeof Symbol.asyncDispose>;

/** Methods that change nothing. */
export const READING: ReadonlySet<FakeMethod> = new Set<FakeMethod>([
  'version',
  'capabilities',
  'domainCapabilities',
  'listDomains',
  'findDomain',
  'domainXml',
  'domainInfo',
  'domainStatistics',
  'domainJob',
  'blockJob',
  'hasManagedSave',
  'interfaceAddresses',
  'screenshot',
  'listNetworks',
  'findNetwork',
  'networkXml',
  'networkLeases',
  'listSnapshots',
  'snapshotXml',
]);

interface Fault {
  readonly method: FakeMethod | 'any';
  left: number;
  readonly error: Error;
  readonly when: 'before' | 'after';
}

/** Makes calls of one connection, or of all that share it, fail or take time. */
export class FakeFaults {
  readonly #faults: Fault[] = [];
  readonly #delays = new Map<FakeMethod | 'any', number>();
  /** Whether every changing call is a point at which a fault plan (`core/fault.ts`) may strike: with `die`, nobody calls any more. */
  faultPoints = false;
  readonly #calls: { readonly method: FakeMethod; readonly subject: string }[] = [];

  /** Every call so far, in order; `subject` is its name or XML argument. */
  get calls(): readonly { readonly method: FakeMethod; readonly subject: string }[] {
    return this.#calls;
  }

  /** Number of changing calls so far, that is of steps at which work can fail. */
  get changes(): number {
    return this.#calls.filter((call) => !READING.has(call.method)).length;
  }

  /**
   * Makes the `n`-th call of `method` from now on (1: the next) fail once. `any` counts all changing calls. `before`: it had no effect;
   * `after`: it had its effect, but the answer was lost.
   */
  failOn(
    method: FakeMethod | 'any',
    n = 1,
    error: Error = libvirtError(`Injected failure of ${method}.`, 1),
    when: 'before' | 'after' = 'before',
  ): void {
    this.#faults.push({ method, left: n, error, when });
  }

  /** Makes each call of `method` take `ms`; `any` means all methods without a delay of their own. */
  delay(method: FakeMethod | 'any', ms: number): void {
    this.#delays.set(method, ms);
  }

  /** Forgets faults, delays and recorded calls. */
  clear(): void {
    this.#faults.length = 0;
    this.#delays.clear();
    this.#calls.length = 0;
  }

  /** Records a call and returns its delay and fault. */
  begin(method: FakeMethod, subject: string): { readonly delayMs: number; readonly fault: Fault | undefined } {
    // Questions to the monitor are asked again and again.
    if (this.faultPoints && !READING.has(method) && method !== 'monitorCommand') faultPoint('effect', `${method} ${subject}`);
    this.#calls.push({ method, subject });
    const matching = this.#faults.filter((fault) => fault.method === method || (fault.method === 'any' && !READING.has(method)));
    for (const fault of matching) fault.left -= 1;
    const hit = matching.find((fault) => fault.left === 0);
    if (hit !== undefined) this.#faults.splice(this.#faults.indexOf(hit), 1);
    return { delayMs: this.#delays.get(method) ?? this.#delays.get('any') ?? 0, fault: hit };
  }
}
