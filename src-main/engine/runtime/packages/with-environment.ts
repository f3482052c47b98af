import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { EngineError } from '../../../../src-shared/errors.ts';
import type { Step } from '../../core/operation.ts';
import { kill, readOptional } from '../../core/process-identity.ts';
import { until } from '../../core/until.ts';
import type { Host } from '../../host/host.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { repoServer } from '../../repos/serve/repo-server.ts';
import type { RecipeContext } from '../recipe.ts';
import { newServer, noticesOf, removeNotices, removeOldNotices } from './notices.ts';
import { isServed, packageServer } from './package-server.ts';

const START_MS = 15_000;

/** Runs a program on its own; its output goes to the file LAGO_OUTPUT. */
const ALONE = 'exec setsid --fork "$@" </dev/null >"$LAGO_OUTPUT" 2>&1';

/**
 * Serves the environment's packages for as long as it runs, if its init file says so, also when this process has ended. Does nothing when they
 * are served already. A failure is a warning: the VMs are of use without packages.
 */
export async function serveWithEnvironment(context: RecipeContext, host: Host, prefix: Prefix, step: Step): Promise<void> {
  if (prefix.record?.repos?.serve !== true) return;
  await step.step('Serve packages', async (one) => {
    try {
      if (host.kind === 'remote') throw new EngineError('not-available', 'its networks are on another machine');
      await begin(context, host, prefix, one.signal);
    } catch (error) {
      if (!(error instanceof EngineError) || error.code === 'cancelled') throw error;
      one.log.warn(`The packages of ${prefix.name} are not served: ${error.message}`);
    }
  });
}

async function begin(context: RecipeContext, host: Host, prefix: Prefix, signal: AbortSignal): Promise<void> {
  const spec = packageServer(prefix);
  if (await isServed(host, spec, signal)) return;
  await removeOldNotices(host, prefix, signal);
  const { repoServerOutput: output } = prefix.paths;
  await mkdir(dirname(output), { recursive: true });
  const server = repoServer(context.resourcesDir, { ...spec, notice: newServer(prefix, 'environment') });
  const result = await host.run(['sh', '-c', ALONE, 'sh', ...server.argv], { env: { ...server.env, LAGO_OUTPUT: output }, signal });
  if (result.code !== 0) throw new EngineError('host.unavailable', result.stderr.trim() || 'the server cannot be started');
  await until(
    async () => {
      const lines = (readOptional(output) ?? '').split('\n').slice(0, -1);
      const report = lines.map((line) => server.report(line)).find((one) => one !== undefined);
      if (report !== undefined && 'error' in report)
        throw new EngineError('host.unavailable', `port ${spec.port} of ${spec.address}: ${report.error}.`);
      return report;
    },
    { everyMs: 20, timeoutMs: START_MS, signal, failure: () => new EngineError('host.unavailable', 'the server does not start.') },
  );
}

/** Ends the servers of an environment that goes down. Most end with their host; on the machine's own libvirt they have to be ended. */
export async function endServers(host: Host, prefix: Prefix): Promise<void> {
  if (host.kind === 'system') for (const { notice } of await noticesOf(prefix)) kill(notice);
  await removeNotices(prefix);
}
