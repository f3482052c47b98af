import { type Duplex, finished } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { EngineError } from '../../../../src-shared/errors.ts';
import { drop, silentLog } from '../../core/log.ts';
import type { CallOptions, HypervisorEvent } from '../hypervisor.ts';
import type { RpcConnection } from '../rpc/connection.ts';
import { dialLibvirt } from '../rpc/dial.ts';
import { type DomainRef, LIBVIRT_ERROR, type Procedure, procedures } from '../rpc/protocol.ts';
import type { LibvirtTarget } from '../rpc/uri.ts';
import { domainMissing, libvirtCode } from './errors.ts';
import { type Link, openLink } from './link.ts';

/** How long a call waits for a lost connection: after a crash, libvirtd is restarted in less than a second. */
const PATIENCE_MS = 3000;

/** The first and the longest pause between two attempts to connect again. */
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1000;

/**
 * A lasting relation to one daemon: calls, streams and events, over connections that are opened again after a loss. A loss rejects every
 * pending call; later ones wait a moment for the next connection.
 */
export class LibvirtSession {
  readonly target: LibvirtTarget;
  readonly #streams = new Set<RpcConnection>();
  readonly #listeners = new Set<(event: HypervisorEvent) => void>();
  readonly #end = new AbortController();
  /** Callers that wait for a connection. */
  readonly #waiting = new Set<(link: Link | undefined) => void>();
  #link: Link | undefined;
  /** Why there is no link. */
  #lost = 'it was not opened';

  private constructor(target: LibvirtTarget) {
    this.target = target;
  }

  /** The first connection must succeed. */
  static async open(target: LibvirtTarget, options: CallOptions): Promise<LibvirtSession> {
    const session = new LibvirtSession(target);
    await session.#connect(options);
    return session;
  }

  async #connect(options: CallOptions): Promise<void> {
    const link = await openLink(this.target, { emit: (event) => this.#emit(event), onLost: (reason) => this.#onLost(reason) }, options);
    const lost = link.fast.closed ?? link.slow.closed;
    if (lost !== undefined) throw new EngineError('hypervisor.disconnected', `Connecting to libvirt failed: ${lost}.`);
    if (this.#end.signal.aborted) link.close(this.#lost);
    else this.#link = link;
  }

  #onLost(reason: string): void {
    const link = this.#link;
    if (link === undefined) return;
    this.#link = undefined;
    this.#lost = reason;
    link.close(reason);
    for (const stream of this.#streams) stream.close(reason);
    if (this.#end.signal.aborted) return;
    drop(this.#reconnect(), silentLog, 'Connecting to libvirt again');
    this.#emit({ type: 'disconnected', reason });
  }

  /** Until it is connected or closed. Keeps no process alive. */
  async #reconnect(): Promise<void> {
    const { signal } = this.#end;
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      await delay(pause, undefined, { signal, ref: false });
      try {
        await this.#connect({ signal });
        break;
      } catch (error) {
        if (signal.aborted) return;
        this.#lost = error instanceof Error ? error.message.replace(/\.$/, '') : String(error);
      }
    }
    this.#emit({ type: 'connected' });
    for (const proceed of this.#waiting) proceed(this.#link);
  }

  #emit(event: HypervisorEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        // A listener's bug must not close the connection or keep the event from other listeners, and must not stay unseen.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  onEvent(listener: (event: HypervisorEvent) => void): () => void {
    if (!this.#end.signal.aborted) this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    this.#onLost('it was closed');
    this.#lost = 'it was closed';
    for (const proceed of this.#waiting) proceed(undefined);
    this.#emit({ type: 'closed' });
    this.#listeners.clear();
  }

  /** The connection, awaited if it is being opened again; `doing` begins the message of the error. */
  async connected(doing: string, options: CallOptions = {}): Promise<Link> {
    const link = this.#link ?? (this.#end.signal.aborted ? undefined : await this.#nextLink(doing, options));
    if (link !== undefined) return link;
    throw new EngineError('hypervisor.disconnected', `${doing} failed: the connection to libvirt is gone: ${this.#lost}.`, {
      hint: 'Check that libvirt is running.',
    });
  }

  async #nextLink(doing: string, { signal, timeoutMs = PATIENCE_MS }: CallOptions): Promise<Link | undefined> {
    return await new Promise((resolve, reject) => {
      const settle = (link: Link | undefined): void => {
        this.#waiting.delete(settle);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        resolve(link);
      };
      const onAbort = (): void => {
        reject(new EngineError('cancelled', `${doing} was cancelled.`, { cause: signal?.reason }));
        settle(undefined);
      };
      const timer = setTimeout(() => settle(undefined), Math.min(timeoutMs, PATIENCE_MS));
      this.#waiting.add(settle);
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Calls a procedure on the connection that suits it. */
  call<A, R>(procedure: Procedure<A, R>, args: A, doing: string, options: CallOptions | undefined): Promise<R> {
    // While connected there is no wait, and none of its cost.
    if (this.#link !== undefined) return callOn(this.#link, procedure, args, doing, options);
    return this.#callLater(procedure, args, doing, options);
  }

  async #callLater<A, R>(procedure: Procedure<A, R>, args: A, doing: string, options: CallOptions | undefined): Promise<R> {
    return await callOn(await this.connected(doing, options), procedure, args, doing, options);
  }

  /** A call about a domain: when it has gone meanwhile, the error is the same as for an unknown one. */
  async onDomain<A, R>(
    procedure: Procedure<A, R>,
    name: string,
    args: (domain: DomainRef) => A,
    doing: string,
    options: CallOptions | undefined,
  ): Promise<R> {
    const domain = await this.domain(name, options);
    try {
      return await this.call(procedure, args(domain), `${doing} VM ${name}`, options);
    } catch (error) {
      throw libvirtCode(error) === LIBVIRT_ERROR.noDomain ? domainMissing(name, error) : error;
    }
  }

  async findDomain(name: string, options: CallOptions | undefined): Promise<DomainRef | undefined> {
    try {
      return (await this.call(procedures.domainLookupByName, { name }, `Looking for VM ${name}`, options)).domain;
    } catch (error) {
      if (libvirtCode(error) === LIBVIRT_ERROR.noDomain) return undefined;
      throw error;
    }
  }

  async domain(name: string, options: CallOptions | undefined): Promise<DomainRef> {
    const domain = await this.findDomain(name, options);
    if (domain === undefined) throw domainMissing(name);
    return domain;
  }

  /** Opens a stream on its own connection, which closes with it: an unread stream would block everything else on the connection. */
  async openStream<A, R>(
    procedure: Procedure<A, R>,
    name: string,
    args: (domain: DomainRef) => A,
    doing: string,
    hangUpEnds: boolean,
    options: CallOptions | undefined,
  ): Promise<{ readonly result: R; readonly stream: Duplex }> {
    const domain = await this.domain(name, options);
    const connection = await dialLibvirt(this.target, {}, options);
    this.#streams.add(connection);
    connection.onClose(() => this.#streams.delete(connection));
    if (this.#link === undefined) connection.close(this.#lost);
    try {
      const opened = await connection.openStream(procedure, args(domain), `${doing} VM ${name}`, { ...options, hangUpEnds });
      finished(opened.stream, () => connection.close());
      return opened;
    } catch (error) {
      connection.close();
      throw libvirtCode(error) === LIBVIRT_ERROR.noDomain ? domainMissing(name, error) : error;
    }
  }
}

function callOn<A, R>(link: Link, procedure: Procedure<A, R>, args: A, doing: string, options: CallOptions | undefined): Promise<R> {
  const connection = procedure.slow ? link.slow : link.fast;
  return connection.call(procedure, args, doing, { ...options, untilSent: procedure.changes });
}
