import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { LEAST_MEMORY, MOST_MEMORY, type VmChange } from '../../../../src-shared/vm-change.ts';
import { parseSize } from '../../disk/qemu-img.ts';
import type { Edit, EditContext } from './edit.ts';

const MIB = 1024 * 1024;

/** While it runs the balloon takes memory from the guest, or gives it back; a VM that is off gets more or less at its next start. */
export function changeMemory({ prefix, vm, running }: EditContext, { size }: VmChange & { kind: 'memory' }): Edit {
  const wanted = mebibytesOf(size);
  const most = running ? vm.memory : MOST_MEMORY;
  if (wanted < LEAST_MEMORY || wanted > most) {
    throw new EngineError('input.invalid', `VM ${vm.name} can have from ${LEAST_MEMORY} to ${most} MiB of memory, not ${wanted} MiB.`, {
      ...(running && wanted > most ? { hint: 'While it runs it cannot have more than at its start: stop it first.' } : {}),
    });
  }
  const { balloon: _, ...rest } = vm;
  const changed: VmSpec = running && wanted < vm.memory ? { ...rest, balloon: wanted } : { ...rest, memory: running ? vm.memory : wanted };
  const notes = running ? ['The guest’s balloon driver gives memory up as fast as it can: "free" in the guest shows it.'] : [];
  return { specs: { ...prefix.specs, vms: prefix.specs.vms.map((one) => (one === vm ? changed : one)) }, notes };
}

/** A bare number is MiB, as in init files. */
function mebibytesOf(size: string): number {
  if (/^\d+$/.test(size.trim())) return Number(size);
  try {
    return Math.round(parseSize(size) / MIB);
  } catch (error) {
    throw new EngineError('input.invalid', `"${size}" is not an amount of memory.`, { cause: error, hint: 'Write 512 (MiB), 512M or 2G.' });
  }
}
