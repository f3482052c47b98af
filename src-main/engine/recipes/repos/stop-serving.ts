import { EngineError } from '../../../../src-shared/errors.ts';
import { until } from '../../core/until.ts';
import type { Host } from '../../host/host.ts';
import { readPrefix } from '../../prefix/prefix.ts';
import { repoServerEnd } from '../../repos/serve/repo-server.ts';
import { type KnownServer, livingServers } from '../../runtime/packages/notices.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';

const END_MS = 5000;

/**
 * Ends the servers of the environment's packages, whoever has begun them, and waits until they answer no more. Those that run for a deploy
 * go on: they end with its scripts. `host.unavailable` when one does not end.
 */
export async function stopServing(context: RecipeContext, root: string, signal: AbortSignal): Promise<void> {
  const prefix = await readPrefix(root);
  const session = await context.hosts.find(prefix, signal);
  if (session === undefined) return;
  const { host } = session;
  const others = async (): Promise<readonly KnownServer[]> =>
    (await livingServers(host, prefix, signal)).filter(({ notice }) => notice.by !== 'deploy');
  for (const server of await others()) await end(context, host, server, signal);
  await until(async () => ((await others()).length === 0 ? true : undefined), {
    ...{ everyMs: 50, timeoutMs: END_MS, signal },
    failure: () => new EngineError('host.unavailable', `A server of the packages of ${prefix.name} does not end.`),
  });
}

async function end({ resourcesDir }: RecipeContext, host: Host, { path, notice }: KnownServer, signal: AbortSignal): Promise<void> {
  const program = repoServerEnd(resourcesDir, path);
  const result = await host.run(program.argv, { env: program.env, signal });
  if (result.code === 0) return;
  const reason = result.stderr.trim().split('\n').at(-1) ?? '';
  throw new EngineError('host.unavailable', `The server of packages at port ${notice.port} cannot be ended: ${reason || 'unknown'}.`, {
    details: { address: notice.address, port: notice.port },
  });
}
