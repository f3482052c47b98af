import { text } from 'node:stream/consumers';
import { EngineError } from '../../../../src-shared/errors.ts';
import { REPO_PORT } from '../../../../src-shared/repos/package-repos.ts';
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
    address: gatewayOf(prefix),
    port: wanted.port ?? prefix.record?.repos?.port ?? REPO_PORT,
    log: prefix.paths.repoAccess,
    vms: vmsByAddress(prefix),
  };
}

/** The address at which guests reach the environment's host. `not-available` on a network without one. */
function gatewayOf(prefix: Prefix): string {
  const net = prefix.specs.nets.find(({ management }) => management) ?? prefix.specs.nets[0];
  if (net?.gw !== undefined) return net.gw;
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
