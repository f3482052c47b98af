import { readFile } from 'node:fs/promises';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Duplex } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { EngineError } from '../../../../src-shared/errors.ts';
import { diskError } from '../../core/disk-error.ts';
import { addressOf, openTunnel, proxyAuthorization, proxyFor } from '../../core/download/proxy.ts';
import { shownUrl } from '../../core/download/shown-url.ts';
import { drop, silentLog } from '../../core/log.ts';
import type { ConnectionOptions } from '../definition/section.ts';
import { createHostSlots, type HostSlots } from './host-slots.ts';

/** An answer whose body has not been read yet. `message` must be read to its end or destroyed, then `done` called. */
export interface Answer {
  /** After redirects. */
  readonly url: URL;
  readonly status: number;
  readonly message: IncomingMessage;
  /** Gives the place at the server back. */
  done(): void;
}

/** Requests to the servers of one repository over connections that are kept open between them. */
export interface Connections extends Disposable {
  /** Rejects with the error of the connection, or with the reason of an abort. Follows redirects, never to a less secure address. */
  get(url: URL, headers: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Answer>;
}

export interface ConnectionsOptions {
  /** At most this many requests at once to one server. */
  readonly maxConnections: number;
  /** Shared by all repositories of a process. */
  readonly slots?: HostSlots;
  /** Where proxies are looked up when the repository names none (default: the process's environment). */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

const REDIRECTS = 5;
const IDLE_SECONDS = 30;

/** Reads certificates and makes agents; connects to nothing. `input.missing-file` for a certificate that is not there. */
export async function openConnections(connection: ConnectionOptions, options: ConnectionsOptions): Promise<Connections> {
  const slots = options.slots ?? createHostSlots();
  const idleMs = (connection.timeout ?? IDLE_SECONDS) * 1000;
  const common = { keepAlive: true, ...(connection.ipVersion === undefined ? {} : { family: connection.ipVersion }) };
  const tls = {
    rejectUnauthorized: connection.sslVerify,
    ...(await certificate('ca', connection.sslCaCert)),
    ...(await certificate('cert', connection.sslClientCert)),
    ...(await certificate('key', connection.sslClientKey)),
  };
  const proxyOf = (url: URL): URL | undefined => chosenProxy(url, connection, options.env ?? process.env);
  const httpAgent = new HttpAgent(common);
  const httpsAgent = new HttpsAgent({ ...common, ...tls });
  const tunnels = new TunnelAgent(proxyOf, idleMs, { ...common, ...tls });

  function once(url: URL, origin: string, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined): ClientRequest {
    const proxy = proxyOf(url);
    const login = loginFor(url, origin, connection);
    const request: RequestOptions = {
      // A body compressed on the way has no ranges and a different length.
      headers: { 'accept-encoding': 'identity', 'user-agent': connection.userAgent ?? 'lago', ...headers },
      ...(login === undefined ? {} : { auth: login }),
      ...(signal === undefined ? {} : { signal }),
    };
    if (url.protocol === 'https:') return httpsRequest(url, { ...request, agent: proxy === undefined ? httpsAgent : tunnels });
    if (proxy === undefined) return httpRequest(url, { ...request, agent: httpAgent });
    return httpRequest({
      ...request,
      ...addressOf(proxy),
      path: shownUrl(url),
      headers: { ...(request.headers as Record<string, string>), host: url.host, ...proxyAuthorization(proxy) },
      agent: httpAgent,
    });
  }

  /** A kept connection that its server has just closed is no failure of the server: asked again on a new one. */
  async function answerOf(url: URL, origin: string, headers: Readonly<Record<string, string>>, signal: AbortSignal | undefined) {
    for (;;) {
      const request = once(url, origin, headers, signal);
      try {
        return await received(request, idleMs);
      } catch (error) {
        const closed = ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
        if (!request.reusedSocket || !closed || signal?.aborted === true) throw error;
      }
    }
  }

  return {
    async get(target, headers, signal) {
      let url = target;
      for (let hops = 0; ; hops++) {
        const done = await slots.take(url.host, options.maxConnections, signal);
        try {
          const message = await answerOf(url, target.origin, headers, signal);
          const status = message.statusCode ?? 0;
          const next = redirectOf(url, status, message.headers.location);
          if (next === undefined) return { url, status, message, done };
          message.resume();
          if (hops === REDIRECTS) throw new EngineError('remote.invalid', `${shownUrl(target)} redirects more than ${REDIRECTS} times.`);
          url = next;
        } catch (error) {
          done();
          throw error;
        }
        done();
      }
    },
    [Symbol.dispose]() {
      for (const agent of [httpAgent, httpsAgent, tunnels]) agent.destroy();
    },
  };
}

async function received(request: ClientRequest, idleMs: number): Promise<IncomingMessage> {
  request.setTimeout(idleMs, () => request.destroy(new Error(`no data for ${idleMs / 1000} s`)));
  return await new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
    request.end();
  });
}

function redirectOf(url: URL, status: number, location: string | undefined): URL | undefined {
  if (![301, 302, 303, 307, 308].includes(status) || location === undefined) return undefined;
  const next = new URL(location, url);
  if (!['http:', 'https:'].includes(next.protocol) || (url.protocol === 'https:' && next.protocol === 'http:')) {
    throw new EngineError('remote.invalid', `${shownUrl(url)} redirects to ${shownUrl(next)}, which is less secure.`);
  }
  return next;
}

/** The login for a server: of its URL, else the repository's, which no other server gets to see. */
function loginFor(url: URL, origin: string, { username, password }: ConnectionOptions): string | undefined {
  if (url.username !== '') return `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  return username === undefined || url.origin !== origin ? undefined : `${username}:${password ?? ''}`;
}

/** The repository's own proxy, none, or that of the environment. */
function chosenProxy(url: URL, connection: ConnectionOptions, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  if (connection.proxy === 'none') return undefined;
  if (connection.proxy === undefined) return proxyFor(url, env);
  const proxy = proxyFor(url, { all_proxy: connection.proxy });
  if (proxy !== undefined && connection.proxyUsername !== undefined) {
    proxy.username = encodeURIComponent(connection.proxyUsername);
    proxy.password = encodeURIComponent(connection.proxyPassword ?? '');
  }
  return proxy;
}

async function certificate<K extends string>(option: K, path: string | undefined): Promise<Partial<Record<K, Buffer>>> {
  if (path === undefined) return {};
  try {
    return { [option]: await readFile(path) } as Partial<Record<K, Buffer>>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw diskError(error, path);
    throw new EngineError('input.missing-file', `The certificate or key ${path} does not exist.`, { cause: error });
  }
}

/** Kept connections to https servers through a proxy: node's own agent knows none. */
class TunnelAgent extends HttpsAgent {
  readonly #proxyOf: (url: URL) => URL | undefined;
  readonly #idleMs: number;

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
    const url = new URL(`https://${options.host ?? ''}:${options.port ?? 443}`);
    const proxy = this.#proxyOf(url);
    if (proxy === undefined) throw new Error(`no proxy is known for ${url.host}`);
    const socket = await openTunnel(proxy, url, { idleMs: this.#idleMs });
    return tlsConnect({ ...(options as object), socket, servername: url.hostname });
  }
}
