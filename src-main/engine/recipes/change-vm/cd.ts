import { EngineError } from '../../../../src-shared/errors.ts';
import type { DiskSpec, VmSpec } from '../../../../src-shared/specs.ts';
import type { VmChange } from '../../../../src-shared/vm-change.ts';
import { requireDisksHere } from '../../prefix/prefix.ts';
import { type Edit, type EditContext, withVm } from './edit.ts';
import { requireFile } from './files.ts';

const IDE = ['hdc', 'hda', 'hdb', 'hdd'] as const;

/** Changes the medium of a CD drive. A VM without one gets one, on IDE as in init files, at its next start. */
export async function changeCd({ prefix, vm }: EditContext, change: VmChange & { kind: 'cd' }): Promise<Edit> {
  if (change.file !== null) requireDisksHere(prefix, 'Changing a CD');
  const path = change.file === null ? '' : (await requireFile(change.file, 'CD image')).real;
  const drives = vm.disks.filter(({ format }) => format === 'iso');
  const drive = driveOf(vm, drives, change.device);
  if (drive !== undefined)
    return { specs: withVm(prefix, vm, { disks: vm.disks.map((one) => (one === drive ? { ...one, path } : one)) }), notes: [] };
  if (change.file === null) throw new EngineError('input.invalid', `VM ${vm.name} has no CD drive.`);
  const dev = IDE.find((one) => vm.disks.every((disk) => disk.dev !== one));
  if (dev === undefined) throw new EngineError('input.invalid', `VM ${vm.name} has no place left for a CD drive.`);
  const added: DiskSpec = { name: 'cd', dev, format: 'iso', type: 'file', path, metadata: {} };
  return { specs: withVm(prefix, vm, { disks: [...vm.disks, added] }), notes: [] };
}

function driveOf(vm: VmSpec, drives: readonly DiskSpec[], device: string | undefined): DiskSpec | undefined {
  const known = drives.map(({ name, dev }) => `${dev} (${name})`).join(', ');
  if (device !== undefined) {
    const found = drives.find(({ name, dev }) => dev === device || name === device);
    if (found !== undefined) return found;
    throw new EngineError('input.invalid', `VM ${vm.name} has no CD drive "${device}".`, {
      hint: drives.length === 0 ? 'It has none: leave the device out to add one.' : `It has: ${known}.`,
    });
  }
  if (drives.length < 2) return drives[0];
  throw new EngineError('input.invalid', `VM ${vm.name} has several CD drives.`, { hint: `Say which: ${known}.` });
}
