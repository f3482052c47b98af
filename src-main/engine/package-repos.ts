import type { Log } from './core/log.ts';
import type { Repos } from './engine.ts';
import type { LiveRepoStore } from './live/repo-store.ts';
import type { PackageServing } from './package-serving.ts';
import { prefixPaths } from './prefix/layout.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import type { Launch } from './vms.ts';

/** Calls about package repositories, with those of their store. Their code is loaded when one is first called. */
export function repoCalls(
  context: RecipeContext,
  launch: Launch,
  log: Log,
  { store, serving }: { readonly store: LiveRepoStore['calls']; readonly serving: PackageServing },
): Repos {
  return {
    ...store,
    async explain(prefix, request) {
      const { explainRepos } = await import('./recipes/repos/explain.ts');
      return await explainRepos(context, prefix, request);
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
