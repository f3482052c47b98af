import type { RequestOptions } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { openTunnel, TunnelRefusal } from '../../core/download/proxy.ts';
import { drop, silentLog } from '../../core/log.ts';
import { AttemptFailure } from './failure.ts';

/** It wants a login, or does not go there: it will say so again. */
const PROXY_REFUSES = new Set([403, 407]);

/** Kept connections to https servers through a proxy: node's own agent knows none. */
export class TunnelAgent extends HttpsAgent {
  readonly #proxyOf: (url: URL) => URL | undefined;
  readonly #idleMs: number;
  readonly #closing = new AbortController();

  constructor(proxyOf: (url: URL) => URL | undefined, idleMs: number, options: ConstructorParameters<typeof HttpsAgent>[0]) {
    super(options);
    this.#proxyOf = proxyOf;
    this.#idleMs = idleMs;
  }

  override createConnection(
    options: RequestOptions & { readonly host?: string | null },
    callback?: (error: Error | null, stream: Duplex) => void,
  ): Duplex | null | undefined {
    drop(this.#answer(options, callback ?? (() => undefined)), silentLog, 'Connecting through a proxy');
    return undefined;
  }

  /** Answers by the callback, also when it fails. */
  async #answer(options: RequestOptions, callback: (error: Error | null, stream: Duplex) => void): Promise<void> {
    try {
      callback(null, await this.#open(options));
    } catch (error) {
      // The type asks for a stream with an error too; node looks at the error first.
      callback(error as Error, undefined as unknown as Duplex);
    }
  }

  async #open(options: RequestOptions): Promise<Duplex> {
    const host = options.host ?? '';
    const url = new URL(`https://${isIP(host) === 6 ? `[${host}]` : host}:${options.port ?? 443}`);
    const proxy = this.#proxyOf(url);
    if (proxy === undefined) throw new Error(`no proxy is known for ${url.host}`);
    const socket = await this.#tunnel(proxy, url);
    // The name of a server is never an address (RFC 6066).
    const name = isIP(host) === 0 ? { servername: host } : {};
    return tlsConnect({ ...(options as object), socket, ...name });
  }

  async #tunnel(proxy: URL, url: URL): Promise<Socket> {
    try {
      return await openTunnel(proxy, url, { idleMs: this.#idleMs, signal: this.#closing.signal });
    } catch (error) {
      if (error instanceof TunnelRefusal && PROXY_REFUSES.has(error.status)) throw new AttemptFailure('refused', error.message, error);
      throw error;
    }
  }

  /** Tunnels that are being opened end too. */
  override destroy(): void {
    this.#closing.abort();
    super.destroy();
  }
}
