import type { VerbInput, VerbNoun, Verbs } from '../../../src-shared/verbs.ts';
import type { Step } from '../core/operation.ts';
import type { RecipeContext } from '../runtime/recipe.ts';

/** One call of a verb on the prefix at `root`. */
export interface VerbTask<Input> {
  readonly root: string;
  readonly input: Input;
  readonly step: Step;
  /** Flushes the prefix's log and closes it; afterwards nothing more is written into the prefix. */
  readonly closeLog: () => Promise<void>;
}

export type VerbWork = {
  readonly [Noun in VerbNoun]: {
    readonly [Name in keyof Verbs[Noun]]: (context: RecipeContext, task: VerbTask<VerbInput<Noun, Name>>) => Promise<void>;
  };
};

/** Implementation of each verb in the table. Its code is loaded on the first call. */
export const VERB_WORK: VerbWork = {
  prefix: {
    async start(context, { root, input, step }) {
      const { startEnvironment } = await import('./lifecycle.ts');
      await startEnvironment(context, root, input.vms ?? [], step);
    },
    async stop(context, { root, input, step }) {
      const { stopEnvironment } = await import('./lifecycle.ts');
      await stopEnvironment(context, root, input.vms ?? [], step);
    },
    async shutdown(context, { root, input, step }) {
      const { shutDownEnvironment } = await import('./shutdown.ts');
      await shutDownEnvironment(context, root, input, step);
    },
    async reboot(context, { root, input, step }) {
      const { rebootEnvironment } = await import('./shutdown.ts');
      await rebootEnvironment(context, root, input, step);
    },
    async reset(context, { root, input, step }) {
      const { resetEnvironment } = await import('./shutdown.ts');
      await resetEnvironment(context, root, input.vms ?? [], step);
    },
    async suspend(context, { root, input, step }) {
      const { suspendEnvironment } = await import('./suspend.ts');
      await suspendEnvironment(context, root, input.vms ?? [], step);
    },
    async resume(context, { root, input, step }) {
      const { resumeEnvironment } = await import('./suspend.ts');
      await resumeEnvironment(context, root, input.vms ?? [], step);
    },
    async deploy(context, { root, input, step }) {
      const { deployEnvironment } = await import('./deploy/deploy.ts');
      await deployEnvironment(context, root, input, step);
    },
    async cleanup(context, { root, step }) {
      const { cleanUpEnvironment } = await import('./destroy.ts');
      await cleanUpEnvironment(context, root, step);
    },
    async destroy(context, { root, input, step, closeLog }) {
      const [{ destroyEnvironment }, { prefixRemoved }, { tidyStore }] = await Promise.all([
        import('./destroy.ts'),
        import('../prefix/workdir.ts'),
        import('../create/templates.ts'),
      ]);
      await destroyEnvironment(context, root, step, { ...input, beforeRemoval: closeLog });
      await prefixRemoved(root);
      await tidyStore(context.settings, step.log);
    },
  },
  snapshot: {
    async create(context, { root, input, step }) {
      const { takeSnapshot } = await import('./snapshots.ts');
      await takeSnapshot(context, root, input.name, step, input);
    },
    async revert(context, { root, input, step }) {
      const { revertSnapshot } = await import('./snapshots.ts');
      await revertSnapshot(context, root, input.name, input.first, step);
    },
    async remove(context, { root, input, step }) {
      const { removeSnapshot } = await import('./snapshots.ts');
      await removeSnapshot(context, root, input.name, step);
    },
    async edit(context, { root, input, step }) {
      const { editSnapshot } = await import('./edit-snapshot.ts');
      await editSnapshot(context, root, input, step);
    },
    async prune(context, { root, input, step }) {
      const { pruneSnapshots } = await import('./snapshots.ts');
      await pruneSnapshots(context, root, input.branch, step);
    },
  },
};
