import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { isServed, packageServer } from '../../runtime/packages/package-server.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';
import { hasMergedPackages } from './has-merged-packages.ts';
import { servePackages } from './serve.ts';

const NOTHING: AsyncDisposable = { [Symbol.asyncDispose]: async () => await Promise.resolve() };

/**
 * Serves the environment's merged packages, if it has any, until the result is disposed; whoever serves them already goes on. A failure is a
 * warning: scripts that need packages will tell.
 */
export async function serveDuring(context: RecipeContext, prefix: Prefix, step: Pick<Step, 'log' | 'signal'>): Promise<AsyncDisposable> {
  if (prefix.record?.host?.kind === 'remote' || !(await hasMergedPackages(prefix))) return NOTHING;
  try {
    const session = await context.hosts.find(prefix, step.signal);
    if (session === undefined || (await isServed(session.host, packageServer(prefix), step.signal))) return NOTHING;
    const served = await servePackages(context, prefix.paths.root, { by: 'deploy' }, { log: step.log, signal: step.signal });
    step.log.info(`The packages of ${served.folder} are at ${served.url}`);
    return served;
  } catch (error) {
    if (!(error instanceof EngineError) || isCancelled(error)) throw error;
    step.log.warn(`The packages of ${prefix.name} are not served: ${error.message}`);
    return NOTHING;
  }
}
