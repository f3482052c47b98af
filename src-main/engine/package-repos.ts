import type { Log } from './core/log.ts';
import { type Operation, startOperation } from './core/operation.ts';
import type { Repos } from './engine.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** Calls about package repositories. Their code is loaded when one is first called. `register` makes an operation visible to every front door. */
export function repoCalls(context: RecipeContext, log: Log, register: (operation: Operation) => void): Repos {
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
  };
}
