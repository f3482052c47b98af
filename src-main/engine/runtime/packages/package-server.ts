import { text } from 'node:stream/consumers';
import { EngineError } from '../../../../src-shared/errors.ts';
import { type EnvironmentRepos, REPO_PORT } from '../../../../src-shared/repos/package-repos.ts';
import type { NetSpec } from '../../../../src-shared/specs.ts';
import type { Host } from '../../host/host.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { PROBE, type RepoServerSpec, SERVER_NAME } from '../../repos/serve/repo-server.ts';

/** What is served, and where, if nothing else is asked for: the environment's merged packages on its gateway. */
export function packageServer(
  prefix: Prefix,
  wanted: { readonly folder?: string | undefined; readonly port?: number | undefined } = {},
): RepoServerSpec {
  return {
    folder: wanted.folder ?? prefix.paths.internalRepo,
    address: requireGateway(prefix),
    port: wanted.port ?? portOf(prefix.record?.repos),
    log: prefix.paths.repoAccess,
    vms: vmsByAddress(prefix),
  };
}

/** Where guests of such networks find the environment's packages, `http://GATEWAY:PORT/`; undefined on networks without gateway. */
export function packagesUrl(nets: readonly NetSpec[], repos: EnvironmentRepos | undefined): string | undefined {
  const gateway = gatewayOf(nets);
  return gateway === undefined ? undefined : `http://${gateway}:${portOf(repos)}/`;
}

function portOf(repos: EnvironmentRepos | undefined): number {
  return repos?.port ?? REPO_PORT;
}

/** The address at which guests reach the environment's host. */
function gatewayOf(nets: readonly NetSpec[]): string | undefined {
  return (nets.find(({ management }) => management) ?? nets[0])?.gw;
}

/** `not-available` on a network without a gateway. */
function requireGateway(prefix: Prefix): string {
  const gateway = gatewayOf(prefix.specs.nets);
  if (gateway !== undefined) return gateway;
  throw new EngineError('not-available', `The management network of ${prefix.name} has no gateway on which packages could be served.`, {
    hint: 'A bridged network is the machine’s own: serve the folder there, with any web server.',
  });
}

function vmsByAddress(prefix: Prefix): Record<string, string> {
  return Object.fromEntries(prefix.specs.vms.flatMap((vm) => vm.nics.flatMap(({ ip }) => (ip === undefined ? [] : [[ip, vm.name]]))));
}

/** Whether packages are being served there, by this program. */
export async function isServed(
  host: Host,
  { address, port }: Pick<RepoServerSpec, 'address' | 'port'>,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    const stream = await host.dial(address, port, { timeoutMs: 2000, signal });
    stream.end(`HEAD / HTTP/1.0\r\nUser-Agent: ${PROBE}\r\n\r\n`);
    return (await text(stream)).includes(`\r\nServer: ${SERVER_NAME}\r\n`);
  } catch (error) {
    if (error instanceof EngineError && error.code === 'guest.unreachable') return false;
    // Whatever is there has cut the connection.
    if ((error as NodeJS.ErrnoException).code === 'ECONNRESET') return false;
    throw error;
  }
}
