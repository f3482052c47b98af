import { silentLog } from './core/log.ts';
import type { Snapshots } from './engine.ts';
import type { RecipeContext } from './runtime/recipe.ts';
import type { Launch } from './vms.ts';

/** Calls that compare points of an environment. Their code is loaded when one is first called. */
export function comparisonCalls(context: RecipeContext, launch: Launch): Pick<Snapshots, 'compare' | 'changes' | 'changedText'> {
  return {
    compare: (prefix, request, action) => {
      const until = request.to === null ? 'now' : `“${request.to}”`;
      return launch('compare', `Compare ${request.vm}: “${request.from}” with ${until}`, prefix, action, async (step) => {
        const { comparePoints } = await import('./recipes/compare/compare.ts');
        return await comparePoints(context, prefix, request, step);
      });
    },
    async changes(prefix, request) {
      const { lastChanges } = await import('./recipes/compare/compare.ts');
      return await lastChanges(context, prefix, request);
    },
    async changedText(prefix, request, path, signal = new AbortController().signal) {
      const { diffChangedFile } = await import('./recipes/compare/compare.ts');
      return await diffChangedFile(context, prefix, { ...request, path }, { signal, log: silentLog, progress: () => undefined });
    },
  };
}
