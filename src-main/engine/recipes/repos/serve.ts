import { rm, stat } from 'node:fs/promises';
import { EngineError, isCancelled } from '../../../../src-shared/errors.ts';
import type { Log } from '../../core/log.ts';
import type { RunResult } from '../../core/run.ts';
import type { Host } from '../../host/host.ts';
import { type Prefix, readPrefix } from '../../prefix/prefix.ts';
import { clientFile, servedRepos } from '../../repos/serve/client-file.ts';
import { type RepoServer, type RepoServerReport, type RepoServerSpec, repoServer } from '../../repos/serve/repo-server.ts';
import { newServer, removeOldNotices } from '../../runtime/packages/notices.ts';
import { packageServer } from '../../runtime/packages/package-server.ts';
import { type RecipeContext, requireReady } from '../../runtime/recipe.ts';
import { hasMergedPackages } from './has-merged-packages.ts';
import type { ServedPackages, ServeRequest } from './serve-request.ts';

/**
 * Serves a folder of packages on the gateway of the environment's management network, until it is disposed, `signal` aborts, or the
 * environment is stopped. Each request is a line of the prefix's `repoAccess`. `host.unavailable` when the network is down,
 * `input.missing-file` without the folder, `conflict.locked` when the port is taken, `not-available` when the networks are on another
 * machine or have no gateway.
 */
export async function servePackages(
  context: RecipeContext,
  root: string,
  request: ServeRequest,
  { log, signal }: { readonly log: Log; readonly signal?: AbortSignal | undefined },
): Promise<ServedPackages> {
  const prefix = await readPrefix(root);
  requireReady(prefix);
  requireNetworksHere(prefix);
  const spec = packageServer(prefix, request);
  await requireFolder(prefix, spec.folder);
  const session = await context.hosts.find(prefix, signal);
  if (session === undefined) throw networkDown(prefix);
  await removeOldNotices(session.host, prefix, signal ?? new AbortController().signal);
  const notice = newServer(prefix, request.by ?? 'command');
  const server = repoServer(context.resourcesDir, { ...spec, notice });
  return await runServer(session.host, server, spec, { prefix, log, signal, notice: notice.path });
}

/** A server there would need the packages there, and one here would not know which VM asks. */
function requireNetworksHere({ name, paths, record }: Prefix): void {
  const host = record?.host;
  if (host?.kind !== 'remote') return;
  throw new EngineError('not-available', `Packages cannot be served: the networks of ${name} are on another machine (${host.uri}).`, {
    hint: `Copy ${paths.internalRepo} to a web server that the VMs can reach.`,
  });
}

async function requireFolder(prefix: Prefix, folder: string): Promise<void> {
  if (folder === prefix.paths.internalRepo) {
    if (await hasMergedPackages(prefix)) return;
    throw new EngineError('input.missing-file', `${prefix.name} has no merged packages yet.`, {
      hint: 'Merge some with "lago repo merge", or name a folder with --dir.',
    });
  }
  const found = await stat(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found?.isDirectory() !== true) throw new EngineError('input.missing-file', `There is no folder ${folder}.`);
}

function networkDown(prefix: Prefix): EngineError {
  return new EngineError('host.unavailable', `The networks of ${prefix.name} are down: no guest could be served.`, {
    hint: 'Start the environment first: "lago start".',
  });
}

interface Around {
  readonly prefix: Prefix;
  readonly log: Log;
  readonly signal: AbortSignal | undefined;
  /** Removed when the server has ended, which it may not have come to itself. */
  readonly notice: string;
}

/** Runs the server in the network of the guests, as a child of this process. */
async function runServer(
  host: Host,
  server: RepoServer,
  spec: RepoServerSpec,
  { prefix, log, signal, notice }: Around,
): Promise<ServedPackages> {
  const stop = new AbortController();
  let report: RepoServerReport | undefined;
  let told: () => void = () => undefined;
  const reported = new Promise<void>((resolve) => (told = resolve));
  /** Undefined when it was told to end. */
  async function runUntilEnd(): Promise<RunResult | undefined> {
    try {
      return await host.run(server.argv, {
        env: server.env,
        signal: signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]),
        onLine(line) {
          const read = server.report(line);
          if (read === undefined) log.warn(line);
          else {
            report = read;
            told();
          }
        },
      });
    } catch (error) {
      if (isCancelled(error)) return undefined;
      throw error;
    } finally {
      await rm(notice, { force: true });
    }
  }
  const running = runUntilEnd();
  await Promise.race([reported, running]);
  if (report === undefined || 'error' in report) {
    const result = await running;
    throw cannotListen(prefix, spec, report?.error, result);
  }
  const url = `http://${report.address}:${report.port}/`;
  return {
    url,
    folder: spec.folder,
    clients: (await servedRepos(spec.folder)).map((repo) => ({ ...repo, ...clientFile(url, repo) })),
    ended: running,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}

function cannotListen(
  prefix: Prefix,
  { address, port }: RepoServerSpec,
  code: string | undefined,
  result: RunResult | undefined,
): EngineError {
  if (code === 'EADDRNOTAVAIL') return networkDown(prefix);
  if (code === 'EADDRINUSE') {
    return new EngineError('conflict.locked', `Port ${port} of ${address} is in use: perhaps these packages are being served already.`, {
      hint: 'End what uses it, or choose another one with --port, or as "port" under "repos" of the init file.',
      details: { address, port },
    });
  }
  if (result === undefined) return new EngineError('cancelled', 'Cancelled.');
  const reason = code ?? result.stderr.trim().split('\n').at(-1) ?? '';
  return new EngineError('host.unavailable', `Packages cannot be served on ${address} port ${port}: ${reason || 'the server ended'}.`, {
    details: { address, port, exit: result.code, stderr: result.stderr.slice(-4000) },
  });
}
