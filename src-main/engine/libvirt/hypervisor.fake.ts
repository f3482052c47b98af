import { type Duplex, PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError } from '../../../src-shared/errors.ts';
import type { CallOptions, Hypervisor, HypervisorEvent } from './hypervisor.ts';
import { FakeModel, libvirtError } from './hypervisor-model.fake.ts';

/** Methods that can be made to fail. */
export type FakeMethod = Exclude<keyof Hypervisor, 'uri' | 'onEvent' | 'close' | typeof Symbol.asyncDispose>;

/** Methods that change nothing. */
const READING: ReadonlySet<FakeMethod> = new Set<FakeMethod>([
  'version',
  'capabilities',
  'domainCapabilities',
  'listDomains',
  'findDomain',
  'domainXml',
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
    this.#calls.push({ method, subject });
    const matching = this.#faults.filter((fault) => fault.method === method || (fault.method === 'any' && !READING.has(method)));
    for (const fault of matching) fault.left -= 1;
    const hit = matching.find((fault) => fault.left === 0);
    if (hit !== undefined) this.#faults.splice(this.#faults.indexOf(hit), 1);
    return { delayMs: this.#delays.get(method) ?? this.#delays.get('any') ?? 0, fault: hit };
  }
}

export interface FakeHypervisorOptions {
  /** Can be shared between connections; default a new, empty one. */
  readonly model?: FakeModel;
  /** Can be shared, to count calls and inject faults over several connections. */
  readonly faults?: FakeFaults;
  readonly uri?: string;
  /** Replies of the guest agent; default an empty result. */
  readonly agent?: (domain: string, command: string) => string;
  /** The far end of a serial console; by default it echoes. */
  readonly console?: (domain: string) => Duplex;
  readonly capabilities?: string;
  readonly domainCapabilities?: string;
}

/** A hypervisor in memory, with its host and its faults open to tests. */
export interface FakeHypervisor extends Hypervisor {
  readonly model: FakeModel;
  readonly faults: FakeFaults;
  /** Ends the connection as if the daemon had died. */
  disconnect(reason?: string): void;
}

const CAPABILITIES =
  '<capabilities><host><cpu><arch>x86_64</arch></cpu></host><guest><os_type>hvm</os_type><arch name="x86_64"/></guest></capabilities>';
const DOMAIN_CAPABILITIES =
  '<domainCapabilities><domain>qemu</domain><machine>pc-q35-7.2</machine><arch>x86_64</arch></domainCapabilities>';
/** One black pixel. */
const PICTURE = Uint8Array.from([...Buffer.from('P6\n1 1\n255\n'), 0, 0, 0]);

class Fake implements FakeHypervisor {
  readonly uri: string;
  readonly model: FakeModel;
  readonly faults: FakeFaults;
  readonly #options: FakeHypervisorOptions;
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  readonly #pending = new Set<(error: EngineError) => void>();
  readonly #consoles = new Map<string, Duplex>();
  readonly #unsubscribe: () => void;
  #closed: string | undefined;

  constructor(options: FakeHypervisorOptions) {
    this.#options = options;
    this.uri = options.uri ?? 'fake:///default';
    this.model = options.model ?? new FakeModel();
    this.faults = options.faults ?? new FakeFaults();
    this.#unsubscribe = this.model.onEvent((event) => {
      // As over a socket: never within the call that causes the event.
      queueMicrotask(() => this.#emit(event));
    });
  }

  #emit(event: HypervisorEvent): void {
    if (this.#closed !== undefined && event.type !== 'closed') return;
    if (event.type === 'domain' && event.event === 'stopped') {
      this.#consoles.get(event.name)?.destroy();
      this.#consoles.delete(event.name);
    }
    for (const listener of this.#listeners) listener(event);
  }

  #gone(doing: string): EngineError {
    return new EngineError('hypervisor.disconnected', `${doing} failed: the connection to libvirt is gone: ${this.#closed ?? 'closed'}.`, {
      hint: 'Check that libvirt is running.',
    });
  }

  /** Like the real one: on cancel or timeout a query fails at once; a change, once begun, is waited for. */
  async #call<T>(method: FakeMethod, subject: string, options: CallOptions | undefined, work: () => T): Promise<T> {
    if (this.#closed !== undefined) throw this.#gone(method);
    if (options?.signal?.aborted === true) throw new EngineError('cancelled', `${method} was cancelled.`);
    const { delayMs, fault } = this.faults.begin(method, subject);
    let cleanUp = (): void => undefined;
    const interrupted = new Promise<never>((_, reject) => {
      const onAbort = (): void => reject(new EngineError('cancelled', `${method} was cancelled.`));
      const onGone = (error: EngineError): void => reject(error);
      const onTimeout = (): void => reject(new EngineError('hypervisor.failed', `${method} failed: libvirt did not answer in time.`));
      const timer = options?.timeoutMs === undefined ? undefined : setTimeout(onTimeout, options.timeoutMs);
      if (READING.has(method)) options?.signal?.addEventListener('abort', onAbort, { once: true });
      this.#pending.add(onGone);
      cleanUp = () => {
        clearTimeout(timer);
        options?.signal?.removeEventListener('abort', onAbort);
        this.#pending.delete(onGone);
      };
    });
    const effect = async (): Promise<T> => {
      await (delayMs > 0 ? delay(delayMs) : Promise.resolve());
      if (fault?.when === 'before') throw fault.error;
      const result = work();
      if (fault?.when === 'after') throw fault.error;
      return result;
    };
    try {
      return await Promise.race([effect(), interrupted]);
    } finally {
      cleanUp();
    }
  }

  version: Hypervisor['version'] = async (options) =>
    await this.#call('version', '', options, () => ({ libvirt: '9.0.0', hypervisor: '' }));
  capabilities: Hypervisor['capabilities'] = async (options) =>
    await this.#call('capabilities', '', options, () => this.#options.capabilities ?? CAPABILITIES);
  domainCapabilities: Hypervisor['domainCapabilities'] = async (_query, options) =>
    await this.#call('domainCapabilities', '', options, () => this.#options.domainCapabilities ?? DOMAIN_CAPABILITIES);

  listDomains: Hypervisor['listDomains'] = async (options) => await this.#call('listDomains', '', options, () => this.model.listDomains());
  findDomain: Hypervisor['findDomain'] = async (name, options) =>
    await this.#call('findDomain', name, options, () => this.model.findDomain(name));
  domainXml: Hypervisor['domainXml'] = async (name, query, options) =>
    await this.#call('domainXml', name, options, () => this.model.domainXml(name, query?.inactive === true));
  defineDomain: Hypervisor['defineDomain'] = async (xml, options) =>
    await this.#call('defineDomain', xml, options, () => this.model.defineDomain(xml));
  startDomain: Hypervisor['startDomain'] = async (name, how, options) =>
    await this.#call('startDomain', name, options, () => this.model.startDomain(name, how?.paused === true));
  destroyDomain: Hypervisor['destroyDomain'] = async (name, options) =>
    await this.#call('destroyDomain', name, options, () => this.model.destroyDomain(name));
  shutdownDomain: Hypervisor['shutdownDomain'] = async (name, how, options) =>
    await this.#call('shutdownDomain', name, options, () => this.model.shutdownDomain(name, how?.by));
  rebootDomain: Hypervisor['rebootDomain'] = async (name, how, options) =>
    await this.#call('rebootDomain', name, options, () => this.model.rebootDomain(name, how?.by));
  resetDomain: Hypervisor['resetDomain'] = async (name, options) =>
    await this.#call('resetDomain', name, options, () => this.model.resetDomain(name));
  suspendDomain: Hypervisor['suspendDomain'] = async (name, options) =>
    await this.#call('suspendDomain', name, options, () => this.model.suspendDomain(name));
  resumeDomain: Hypervisor['resumeDomain'] = async (name, options) =>
    await this.#call('resumeDomain', name, options, () => this.model.resumeDomain(name));
  undefineDomain: Hypervisor['undefineDomain'] = async (name, options) =>
    await this.#call('undefineDomain', name, options, () => this.model.undefineDomain(name));

  screenshot: Hypervisor['screenshot'] = async (name, options) =>
    await this.#call('screenshot', name, options, () => {
      this.model.requireActive(name, 'Taking a picture of');
      return { mime: 'image/x-portable-pixmap', bytes: PICTURE };
    });

  agentCommand: Hypervisor['agentCommand'] = async (name, command, options) =>
    await this.#call('agentCommand', name, options, () => {
      this.model.requireActive(name, 'Asking the guest agent of');
      return this.#options.agent?.(name, command) ?? '{"return":{}}';
    });

  openConsole: Hypervisor['openConsole'] = async (name, how, options) =>
    await this.#call('openConsole', name, options, () => {
      this.model.requireActive(name, 'Opening the console of');
      const held = this.#consoles.get(name);
      if (held !== undefined && !held.destroyed) {
        if (how?.force !== true)
          throw libvirtError(`Opening the console of VM ${name} failed: Active console session exists for this domain`, 9);
        held.destroy();
      }
      const stream = this.#options.console?.(name) ?? new PassThrough();
      this.#consoles.set(name, stream);
      return stream;
    });

  listNetworks: Hypervisor['listNetworks'] = async (options) =>
    await this.#call('listNetworks', '', options, () => this.model.listNetworks());
  findNetwork: Hypervisor['findNetwork'] = async (name, options) =>
    await this.#call('findNetwork', name, options, () => this.model.findNetwork(name));
  networkXml: Hypervisor['networkXml'] = async (name, options) =>
    await this.#call('networkXml', name, options, () => this.model.networkXml(name));
  defineNetwork: Hypervisor['defineNetwork'] = async (xml, options) =>
    await this.#call('defineNetwork', xml, options, () => this.model.defineNetwork(xml));
  startNetwork: Hypervisor['startNetwork'] = async (name, options) =>
    await this.#call('startNetwork', name, options, () => this.model.startNetwork(name));
  destroyNetwork: Hypervisor['destroyNetwork'] = async (name, options) =>
    await this.#call('destroyNetwork', name, options, () => this.model.destroyNetwork(name));
  undefineNetwork: Hypervisor['undefineNetwork'] = async (name, options) =>
    await this.#call('undefineNetwork', name, options, () => this.model.undefineNetwork(name));
  networkLeases: Hypervisor['networkLeases'] = async (name, options) =>
    await this.#call('networkLeases', name, options, () => this.model.networkLeases(name));

  listSnapshots: Hypervisor['listSnapshots'] = async (domain, options) =>
    await this.#call('listSnapshots', domain, options, () => this.model.listSnapshots(domain));
  snapshotXml: Hypervisor['snapshotXml'] = async (domain, name, options) =>
    await this.#call('snapshotXml', domain, options, () => this.model.snapshotXml(domain, name));
  createSnapshot: Hypervisor['createSnapshot'] = async (domain, xml, how, options) =>
    await this.#call('createSnapshot', domain, options, () =>
      this.model.createSnapshot(domain, xml, { redefine: how?.redefine === true, current: how?.current === true }),
    );
  revertSnapshot: Hypervisor['revertSnapshot'] = async (domain, name, how, options) =>
    await this.#call('revertSnapshot', domain, options, () => this.model.revertSnapshot(domain, name, how?.state));
  deleteSnapshot: Hypervisor['deleteSnapshot'] = async (domain, name, _how, options) =>
    await this.#call('deleteSnapshot', domain, options, () => this.model.deleteSnapshot(domain, name));

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  disconnect(reason = 'libvirt closed the connection'): void {
    if (this.#closed !== undefined) return;
    this.#closed = reason;
    this.#unsubscribe();
    for (const reject of this.#pending) reject(this.#gone('The call'));
    for (const stream of this.#consoles.values()) stream.destroy();
    this.#emit({ type: 'closed', reason });
    this.#listeners.clear();
  }

  async close(): Promise<void> {
    this.disconnect('it was closed');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * A `Hypervisor` without libvirt, for testing code built on it: same semantics (the same suite runs on both), a model that tests can
 * compare before and after, and faults at any step. A failed call leaves the model unchanged, unless the fault says `after`.
 */
export function createFakeHypervisor(options: FakeHypervisorOptions = {}): FakeHypervisor {
  return new Fake(options);
}
