import type { Log } from './core/log.ts';
import { type Operation, startOperation } from './core/operation.ts';
import type { Repos } from './engine.ts';
import type { PackageServing } from './package-serving.ts';
import { prefixPaths } from './prefix/layout.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import type { Launch } from './vms.ts';

/** Calls about package repositories. Their code is loaded when one is first called. `register` makes an operation visible to every front door. */
export function repoCalls(
  context: RecipeContext,
  launch: Launch,
  log: Log,
  register: (operation: Operation) => void,
  serving: PackageServing,
): Repos {
  return {
    async explain(prefix, request) {
      const { explainRepos } = await import('./recipes/repos/explain.ts');
      return await explainRepos(context, prefix, request);
    },
    sync(prefix, request, options) {
      const operation = startOperation(
        {
          kind: 'sync',
          label: 'Synchronise package repositories',
          signal: options?.signal,
          // A caller that watches events prints them itself.
          ...(options?.onEvent === undefined ? { log } : { onEvent: options.onEvent }),
        },
        async (step) => {
          const { syncRepos } = await import('./recipes/repos/sync.ts');
          return await syncRepos(context, prefix, request, step);
        },
      );
      register(operation as Operation);
      return operation;
    },
    async stored() {
      const { listStoredRepos } = await import('./recipes/repos/store.ts');
      return await listStoredRepos(context.settings);
    },
    async clean(request, signal) {
      const { cleanStoredRepos } = await import('./recipes/repos/store.ts');
      return await cleanStoredRepos(context.settings, request, signal);
    },
    merge: (prefix, request, action) =>
      launch('merge', 'Merge packages', prefix, action, async (step) => {
        const { mergePackages } = await import('./recipes/repos/merge.ts');
        return await mergePackages(context, prefix, request, step);
      }),
    async serve(prefix, request, signal) {
      const { servePackages } = await import('./recipes/repos/serve.ts');
      return await servePackages(context, prefix, request, { log, signal });
    },
    async serveDuring(prefix, signal) {
      const [{ serveDuring }, { readPrefix }] = await Promise.all([
        import('./recipes/repos/serve-during.ts'),
        import('./prefix/prefix.ts'),
      ]);
      return await serveDuring(context, await readPrefix(prefix), { log, signal });
    },
    async accesses(prefix) {
      const { readAccesses } = await import('./repos/serve/access-log.ts');
      return await readAccesses(prefixPaths(prefix).repoAccess);
    },
    async *follow(prefix, signal, kept) {
      const { followAccesses } = await import('./repos/serve/access-log.ts');
      yield* followAccesses(prefixPaths(prefix).repoAccess, signal, kept);
    },
    async merged(prefix, signal = new AbortController().signal) {
      const { mergedPackages } = await import('./recipes/repos/merged.ts');
      return await mergedPackages(context, prefix, signal);
    },
    startServing: async (prefix, signal) => await serving.start(prefix, signal),
    stopServing: async (prefix, signal) => await serving.stop(prefix, signal),
  };
}
