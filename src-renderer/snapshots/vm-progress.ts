import type { OperationKind, OperationState, StepState } from '../../src-shared/operation.ts';

/** How far an operation is with one VM. */
export interface VmProgress {
  readonly vm: string;
  /** What is being done with it, without its name: `Keep memory`. */
  readonly phase: string;
  readonly detail: string | undefined;
  readonly fraction: number;
  readonly status: StepState['status'];
}

const KINDS: ReadonlySet<OperationKind> = new Set(['snapshot', 'revert', 'fork', 'delete-snapshot', 'prune-snapshots']);

/** Whether the operation works on points of a timeline. */
export function isTimelineWork(operation: OperationState): boolean {
  return KINDS.has(operation.kind);
}

function leaves(steps: readonly StepState[]): readonly StepState[] {
  return steps.flatMap((step) => (step.steps.length === 0 ? [step] : leaves(step.steps)));
}

/** The latest step of each VM, found by its name at the end of the step's label. VMs without a step yet are left out. */
export function vmProgress(operation: OperationState, vms: readonly string[]): readonly VmProgress[] {
  const steps = leaves(operation.steps);
  return vms.flatMap((vm): VmProgress[] => {
    const own = steps.filter(({ label }) => label === vm || label.endsWith(` ${vm}`));
    const step = own.findLast(({ status }) => status === 'running') ?? own.at(-1);
    if (step === undefined) return [];
    const phase = step.label
      .slice(0, -vm.length)
      .trim()
      .replace(/ (of|for|on)?( ?(the )?VM)?$/, '');
    return [{ vm, phase, detail: step.detail, fraction: step.fraction, status: step.status }];
  });
}
