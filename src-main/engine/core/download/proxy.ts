import { request as httpRequest } from 'node:http';
import type { Socket } from 'node:net';
import { EngineError } from '../../../../src-shared/errors.ts';

/** Options of a request that goes to this proxy. */
export function addressOf(proxy: URL): { host: string; port: string } {
  return { host: proxy.hostname.replace(/^\[|\]$/g, ''), port: proxy.port === '' ? '80' : proxy.port };
}

/** The header that logs in to a proxy; empty without a user in its URL. */
export function proxyAuthorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const login = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(login).toString('base64')}` };
}

/** What a proxy answers that opens no connection. */
export class TunnelRefusal extends Error {
  override readonly name = 'TunnelRefusal';
  readonly status: number;

  constructor(proxy: URL, status: number) {
    super(`the proxy ${proxy.host} answers with status ${status}`);
    this.status = status;
  }
}

/** A connection through a proxy (CONNECT) to the server of a URL, on which TLS is to follow. */
export async function openTunnel(
  proxy: URL,
  url: URL,
  options: { readonly idleMs?: number; readonly signal?: AbortSignal | undefined },
): Promise<Socket> {
  const target = `${url.hostname}:${url.port === '' ? '443' : url.port}`;
  const outgoing = httpRequest({
    ...addressOf(proxy),
    method: 'CONNECT',
    path: target,
    headers: { host: target, ...proxyAuthorization(proxy) },
    agent: false,
    timeout: options.idleMs ?? 30_000,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  return await new Promise((resolve, reject) => {
    outgoing.on('connect', (response, socket) => {
      if (response.statusCode === 200) resolve(socket);
      else {
        socket.destroy();
        reject(new TunnelRefusal(proxy, response.statusCode ?? 0));
      }
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`the proxy ${proxy.host} does not answer`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

/** The proxy for a URL from the usual variables (lower case first), undefined for a direct connection. */
export function proxyFor(url: URL, env: Readonly<Record<string, string | undefined>>): URL | undefined {
  const name = `${url.protocol.slice(0, -1)}_proxy`;
  const value = env[name] ?? env[name.toUpperCase()] ?? env['all_proxy'] ?? env['ALL_PROXY'];
  if (value === undefined || value === '') return undefined;
  const except = (env['no_proxy'] ?? env['NO_PROXY'] ?? '').split(/[\s,]+/).filter((entry) => entry !== '');
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  for (const entry of except) {
    const [, name_ = '', port] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    if (entry === '*') return undefined;
    if (port !== undefined && port !== (url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port)) continue;
    if (host === name_ || host.endsWith(`.${name_}`)) return undefined;
  }
  const proxy = new URL(value.includes('://') ? value : `http://${value}`);
  if (proxy.protocol !== 'http:') {
    throw new EngineError('input.invalid', `The proxy ${proxy.protocol}//${proxy.host} (${name}) cannot be used: only http proxies can.`);
  }
  return proxy;
}
