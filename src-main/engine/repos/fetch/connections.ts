import { type ClientRequest, Agent as HttpAgent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { EngineError } from '../../../../src-shared/errors.ts';
import { addressOf, proxyAuthorization, proxyFor } from '../../core/download/proxy.ts';
import { shownUrl } from '../../core/download/shown-url.ts';
import type { ConnectionOptions } from '../definition/section.ts';
import { AttemptFailure } from './failure.ts';
import { createHostSlots, type HostSlots } from './host-slots.ts';
import type { SecureAgents } from './secure-agents.ts';

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
  /** Follows redirects. Rejects with the error of the connection, an `AttemptFailure`, or the reason of an abort. */
  get(url: URL, headers: Readonly<Record<string, string>>, options?: GetOptions): Promise<Answer>;
}

export interface GetOptions {
  /** What is received is compared with a digest: only then may a redirect lead from https to http. */
  readonly verified?: boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface ConnectionsOptions {
  /** The servers that the repository's file names: only they get to see its login. */
  readonly servers: readonly string[];
  /** At most this many requests at once to one server. */
  readonly maxConnections: number;
  /** Shared by all repositories of a process. */
  readonly slots?: HostSlots;
  /** Where proxies and certificates are looked up when the repository names none (default: the process's environment). */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

interface Sending {
  readonly url: URL;
  /** Before redirects. */
  readonly target: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
}

const REDIRECTING = new Set([301, 302, 303, 307, 308]);
/** As dnf. */
const REDIRECTS = 6;
const IDLE_SECONDS = 30;

/** Connects to nothing yet. Certificates that the repository names are read at once: errors as `readTlsOptions`. */
export async function openConnections(connection: ConnectionOptions, options: ConnectionsOptions): Promise<Connections> {
  const { env = process.env, slots = createHostSlots(), maxConnections } = options;
  const idleMs = (connection.timeout ?? IDLE_SECONDS) * 1000;
  const common = { keepAlive: true, ...(connection.ipVersion === undefined ? {} : { family: connection.ipVersion }) };
  const proxyOf = (url: URL): URL | undefined => chosenProxy(url, connection, env);
  const httpAgent = new HttpAgent(common);
  const agents: HttpAgent[] = [httpAgent];
  let secure: Promise<SecureAgents> | undefined;
  if (namesCertificates(connection)) secure = Promise.resolve(await secureAgents());
  const named = new Set(options.servers.filter((url) => URL.canParse(url)).map((url) => new URL(url).origin));

  /** The login for a server: of its URL (that of `target` before it redirected), else the repository's. */
  function loginFor(url: URL, target: URL): string | undefined {
    const { username, password } = url.username === '' && url.origin === target.origin ? target : url;
    if (username !== '') return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return connection.username === undefined || !named.has(url.origin) ? undefined : `${connection.username}:${connection.password ?? ''}`;
  }

  /** Made when a server needs them: loading TLS and reading what this machine trusts takes longer than a request. */
  async function secureAgents(): Promise<SecureAgents> {
    const { makeSecureAgents } = await import('./secure-agents.ts');
    const made = await makeSecureAgents(connection, common, proxyOf, { env, idleMs });
    agents.push(made.direct, made.tunnels);
    return made;
  }

  async function agentFor(url: URL, proxy: URL | undefined): Promise<HttpAgent> {
    if (url.protocol === 'http:') return httpAgent;
    secure ??= secureAgents();
    return proxy === undefined ? (await secure).direct : (await secure).tunnels;
  }

  function send({ url, target, headers, signal }: Sending, proxy: URL | undefined, agent: HttpAgent): ClientRequest {
    const login = loginFor(url, target);
    const request: RequestOptions = {
      // A body compressed on the way has no ranges and a different length.
      headers: { 'accept-encoding': 'identity', 'user-agent': connection.userAgent ?? 'lago', ...headers },
      agent,
      ...(login === undefined ? {} : { auth: login }),
      ...(signal === undefined ? {} : { signal }),
    };
    // The agent speaks TLS where that is meant.
    if (proxy === undefined || url.protocol === 'https:') return httpRequest(url, request);
    return httpRequest({
      ...request,
      ...addressOf(proxy),
      path: shownUrl(url),
      headers: { ...(request.headers as Record<string, string>), host: url.host, ...proxyAuthorization(proxy) },
    });
  }

  /** A kept connection that its server has just closed is no failure of the server: asked again on a new one. */
  async function answerOf(sending: Sending): Promise<IncomingMessage> {
    const proxy = proxyOf(sending.url);
    const agent = await agentFor(sending.url, proxy);
    for (;;) {
      const request = send(sending, proxy, agent);
      try {
        return await received(request, idleMs);
      } catch (error) {
        const closed = ['ECONNRESET', 'EPIPE'].includes((error as NodeJS.ErrnoException).code ?? '');
        if (!request.reusedSocket || !closed || sending.signal?.aborted === true) throw error;
      }
    }
  }

  return {
    async get(target, headers, { verified = false, signal } = {}) {
      let url = target;
      for (let hops = 0; ; hops++) {
        const done = await slots.take(url.host, maxConnections, signal);
        try {
          const message = await answerOf({ url, target, headers, signal });
          const status = message.statusCode ?? 0;
          const { location } = message.headers;
          if (!REDIRECTING.has(status) || location === undefined) return { url, status, message, done };
          message.resume();
          if (hops === REDIRECTS) throw new AttemptFailure('refused', `the server redirects more than ${REDIRECTS} times`);
          url = redirected(url, location, verified);
        } catch (error) {
          done();
          throw error;
        }
        done();
      }
    },
    [Symbol.dispose]() {
      for (const agent of agents) agent.destroy();
    },
  };
}

function namesCertificates({ sslCaCert, sslClientCert, sslClientKey }: ConnectionOptions): boolean {
  return [sslCaCert, sslClientCert, sslClientKey].some((path) => path !== undefined);
}

async function received(request: ClientRequest, idleMs: number): Promise<IncomingMessage> {
  request.setTimeout(idleMs, () => request.destroy(new Error(`no data for ${idleMs / 1000} s`)));
  return await new Promise((resolve, reject) => {
    request.on('response', resolve);
    request.on('error', reject);
    request.end();
  });
}

function redirected(url: URL, location: string, verified: boolean): URL {
  if (!URL.canParse(location, url.href)) throw new AttemptFailure('refused', 'the server redirects to what is no address');
  const next = new URL(location, url);
  const isLess = url.protocol === 'https:' && next.protocol === 'http:' && !verified;
  if (!['http:', 'https:'].includes(next.protocol) || isLess) {
    throw new AttemptFailure('refused', `the server redirects to ${shownUrl(next)}, which is less secure`);
  }
  return next;
}

/** The repository's own proxy, none, or that of the environment. */
function chosenProxy(url: URL, connection: ConnectionOptions, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  if (connection.proxy === 'none') return undefined;
  if (connection.proxy === undefined) return proxyFor(url, env);
  const proxy = new URL(connection.proxy);
  if (proxy.protocol !== 'http:') {
    const message = `The proxy ${proxy.protocol}//${proxy.host} of the repository cannot be used: only http proxies can.`;
    throw new EngineError('input.invalid', message, { hint: 'Write proxy=http://HOST:PORT, or proxy=_none_.' });
  }
  if (connection.proxyUsername !== undefined) {
    proxy.username = encodeURIComponent(connection.proxyUsername);
    proxy.password = encodeURIComponent(connection.proxyPassword ?? '');
  }
  return proxy;
}
