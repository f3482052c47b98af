import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { domainName, type Prefix } from '../prefix/prefix.ts';
import type { HostSession } from '../runtime/session.ts';

/** Pauses all of them at once, so that all VMs stop at the same moment. `onHang` is called when one does not respond. */
export async function suspendAll(
  session: HostSession,
  prefix: Prefix,
  vms: readonly VmSpec[],
  step: Step,
  onHang: () => void = () => undefined,
): Promise<void> {
  await step.each(
    vms,
    Math.max(1, vms.length),
    (vm) => `Suspend VM ${vm.name}`,
    async (vm, one) => {
      await suspendVm(session, prefix, vm, one.signal, onHang);
    },
  );
}

/** Suspends a VM. `hypervisor.failed` in the user's words when its QEMU does not respond in time, after calling `onHang`. */
export async function suspendVm(session: HostSession, prefix: Prefix, vm: VmSpec, signal: AbortSignal, onHang: () => void): Promise<void> {
  try {
    await session.hypervisor.suspendDomain(domainName(prefix.uuid, vm.name), { signal });
  } catch (error) {
    if (!(error instanceof EngineError) || error.details['timeoutMs'] === undefined) throw error;
    onHang();
    throw new EngineError('hypervisor.failed', `VM ${vm.name} does not answer: its QEMU could not be suspended in time.`, {
      cause: error,
      details: error.details,
      hint: `Power it off: lago stop ${vm.name}.`,
    });
  }
}
