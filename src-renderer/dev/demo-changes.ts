import type { PrefixState, VmState } from '../../src-shared/state.ts';
import { ADDED_IMAGES, type VmChange } from '../../src-shared/vm-change.ts';

/** A VM as a change leaves it. */
export function changedVm(prefix: PrefixState, vm: VmState, change: VmChange): VmState {
  const { disks, nics } = vm;
  switch (change.kind) {
    case 'link':
      return {
        ...vm,
        nics: nics.map(({ link, ...nic }) =>
          nic.name !== change.nic ? { ...nic, link } : change.link === 'up' ? nic : { ...nic, link: 'down' },
        ),
      };
    case 'cd': {
      const path = change.file ?? '';
      if (disks.some(({ format }) => format === 'iso')) {
        return { ...vm, disks: disks.map((disk) => (disk.format === 'iso' ? { ...disk, path } : disk)) };
      }
      return { ...vm, disks: [...disks, { name: 'cd', dev: 'hdc', format: 'iso', path }] };
    }
    case 'add-disk': {
      const name = `disk${disks.length}`;
      const path = change.file ?? `${prefix.path}/${ADDED_IMAGES}/${vm.name}_${name}.qcow2`;
      return { ...vm, disks: [...disks, { name, dev: `vd${'abcdefghij'[disks.length] ?? 'z'}`, format: 'qcow2', path }] };
    }
    case 'remove-disk':
      return { ...vm, disks: disks.filter(({ name }) => name !== change.disk) };
    case 'add-nic':
      return { ...vm, nics: [...nics, { name: `eth${nics.length}`, network: change.net, ip: null, mac: null }] };
    case 'remove-nic':
      return { ...vm, nics: nics.filter(({ name }) => name !== change.nic) };
    case 'memory':
      return vm.status === 'running' ? { ...vm, balloon: Number(change.size) } : { ...vm, memory: Number(change.size) };
  }
}
