import { drop, type Log } from './core/log.ts';
import type { ServedPackages } from './recipes/repos/serve-request.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** The packages that this engine serves until it is told to stop, an environment's at most once. `prefix` is its path. */
export interface PackageServing extends AsyncDisposable {
  /** See `Repos.startServing`. */
  start(prefix: string, signal?: AbortSignal): Promise<string>;
  /** See `Repos.stopServing`. */
  stop(prefix: string, signal?: AbortSignal): Promise<void>;
}

async function after<T>(before: Promise<unknown> | undefined, work: () => Promise<T>): Promise<T> {
  await Promise.allSettled([before]);
  return await work();
}

export function createPackageServing(context: RecipeContext, log: Log): PackageServing {
  const served = new Map<string, ServedPackages>();
  /** One after the other for each environment: whoever switches on and off in a hurry gets what was wanted last. */
  const turns = new Map<string, Promise<unknown>>();

  async function inTurn<T>(prefix: string, work: () => Promise<T>): Promise<T> {
    const mine = after(turns.get(prefix), work);
    turns.set(prefix, mine);
    try {
      return await mine;
    } finally {
      if (turns.get(prefix) === mine) turns.delete(prefix);
    }
  }

  async function begin(prefix: string, signal: AbortSignal | undefined): Promise<string> {
    const present = served.get(prefix);
    if (present !== undefined) return present.url;
    const { servePackages } = await import('./recipes/repos/serve.ts');
    // It outlives the call, whose signal ends with it.
    signal?.throwIfAborted();
    const server = await servePackages(context, prefix, { by: 'window' }, { log });
    served.set(prefix, server);
    drop(forgetAtEnd(prefix, server), log, `Serving the packages of ${prefix}`);
    return server.url;
  }

  async function forgetAtEnd(prefix: string, server: ServedPackages): Promise<void> {
    try {
      await server.ended;
    } finally {
      if (served.get(prefix) === server) served.delete(prefix);
    }
  }

  return {
    start: async (prefix, signal) => await inTurn(prefix, async () => await begin(prefix, signal)),
    stop: async (prefix, signal) =>
      await inTurn(prefix, async () => {
        await served.get(prefix)?.[Symbol.asyncDispose]();
        const { stopServing } = await import('./recipes/repos/stop-serving.ts');
        await stopServing(context, prefix, signal ?? new AbortController().signal);
      }),
    async [Symbol.asyncDispose]() {
      await Promise.all([...served.values()].map(async (server) => await server[Symbol.asyncDispose]()));
    },
  };
}
