import { type LayerFile, type LayerUse, nextLayerSteps } from './unneeded.ts';

/** What collecting layers would do: files that are deleted, and files that are merged with another one. */
export interface Foreseen {
  readonly deleted: readonly LayerFile[];
  readonly merged: readonly LayerFile[];
}

/** Goes through the steps of `nextLayerSteps` without taking them. Pure. */
export function foresee(files: readonly LayerFile[], use: LayerUse): Foreseen {
  const deleted: LayerFile[] = [];
  const merged: LayerFile[] = [];
  let left = files;
  let named = use.named;
  for (;;) {
    const [step] = nextLayerSteps(left, { ...use, named });
    if (step === undefined) return { deleted, merged };
    const gone = step.kind === 'commit' ? step.from : step.path;
    const file = left.find(({ path }) => path === gone);
    if (file !== undefined) (step.kind === 'delete' ? deleted : merged).push(file);
    // Whatever is on the file is on the one below from then on.
    left = left.flatMap((one) => (one.path === gone ? [] : [one.below === gone ? { ...one, below: file?.below } : one]));
    if (step.kind === 'commit') named = new Set([...named].map((path) => (path === gone ? step.path : path)));
  }
}
