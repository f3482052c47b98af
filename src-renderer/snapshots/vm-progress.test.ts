import { describe, expect, it } from 'vitest';
import type { OperationState, StepState } from '../../src-shared/operation.ts';
import { isTimelineWork, vmProgress } from './vm-progress.ts';

function step(label: string, status: StepState['status'], fraction = 0.5, steps: readonly StepState[] = []): StepState {
  return { id: label, label, status, fraction, startedAt: 1, steps };
}

function operation(...steps: StepState[]): OperationState {
  return { id: 'o', kind: 'snapshot', label: 'Snapshot shop', status: 'running', fraction: 0.5, startedAt: 1, steps, logLines: 0 };
}

describe('progress per VM', () => {
  it('is that of the step that runs, else of the last one', () => {
    const prepared = step('Prepare layers', 'succeeded', 1, [
      step('Create layers of VM web', 'succeeded', 1),
      step('Create layers of VM db', 'succeeded', 1),
    ]);
    const rows = vmProgress(operation(prepared, step('Keep memory of VM web', 'running', 0.25)), ['web', 'db', 'app']);
    expect(rows).toEqual([
      { vm: 'web', phase: 'Keep memory', detail: undefined, fraction: 0.25, status: 'running' },
      { vm: 'db', phase: 'Create layers', detail: undefined, fraction: 1, status: 'succeeded' },
    ]);
  });

  it('tells VMs apart whose names end alike', () => {
    const rows = vmProgress(operation(step('Restore VM app-db', 'running')), ['db', 'app-db']);
    expect(rows.map(({ vm, phase }) => [vm, phase])).toEqual([['app-db', 'Restore']]);
  });

  it('is shown for work on the timeline only', () => {
    expect(isTimelineWork(operation())).toBe(true);
    expect(isTimelineWork({ ...operation(), kind: 'deploy' })).toBe(false);
  });
});
