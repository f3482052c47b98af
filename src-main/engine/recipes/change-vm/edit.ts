import type { EnvironmentSpecs, VmSpec } from '../../../../src-shared/specs.ts';
import type { Step } from '../../core/operation.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import type { RecipeContext } from '../../runtime/recipe.ts';

/** The VM to be changed, and its environment. */
export interface EditContext {
  readonly context: RecipeContext;
  readonly prefix: Prefix;
  readonly vm: VmSpec;
  readonly running: boolean;
  readonly step: Step;
}

/** A change as a new definition. */
export interface Edit {
  readonly specs: EnvironmentSpecs;
  /** Creates files that the new definition names. */
  readonly prepare?: (step: Step) => Promise<void>;
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

/** The environment with a VM changed. */
export function withVm(prefix: Prefix, vm: VmSpec, change: Partial<VmSpec>): EnvironmentSpecs {
  return { ...prefix.specs, vms: prefix.specs.vms.map((one) => (one === vm ? { ...vm, ...change } : one)) };
}
