import type { Repos } from './engine.ts';
import type { RecipeContext } from './runtime/recipe.ts';

/** Calls about package repositories. Their code is loaded when one is first called. */
export function repoCalls(context: RecipeContext): Repos {
  return {
    async explain(prefix, request) {
      const { explainRepos } = await import('./recipes/repos/explain.ts');
      return await explainRepos(context, prefix, request);
    },
  };
}
