import { Agent as HttpsAgent } from 'node:https';
import type { ConnectionOptions } from '../definition/section.ts';
import { readTlsOptions } from './tls.ts';
import { TunnelAgent } from './tunnel-agent.ts';

/** Connections to https servers: to themselves, and through a proxy. */
export interface SecureAgents {
  readonly direct: HttpsAgent;
  readonly tunnels: HttpsAgent;
}

/** What all agents of a repository have in common. */
export interface CommonOptions {
  readonly keepAlive: boolean;
  readonly family?: 4 | 6;
}

/** Errors as `readTlsOptions`. */
export async function makeSecureAgents(
  connection: ConnectionOptions,
  common: CommonOptions,
  proxyOf: (url: URL) => URL | undefined,
  { env, idleMs }: { readonly env: Readonly<Record<string, string | undefined>>; readonly idleMs: number },
): Promise<SecureAgents> {
  const options = { ...common, ...(await readTlsOptions(connection, env)) };
  return { direct: new HttpsAgent(options), tunnels: new TunnelAgent(proxyOf, idleMs, options) };
}
