import type { VmState } from '../../../../src-shared/state.ts';

/** Whether a VM has a QEMU, so that changes act on it at once. */
export function isActive(vm: VmState): boolean {
  return vm.status === 'running' || vm.status === 'paused';
}
