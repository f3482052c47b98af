import { Button } from '@mantine/core';
import type { ReactElement } from 'react';
import type { PrefixState, VmState } from '../../../../src-shared/state.ts';
import { Dialog } from '../../../ui/dialog.tsx';
import { CdSection } from './cd-section.tsx';
import styles from './change-dialog.module.css';
import { DiskSection } from './disk-section.tsx';
import { isActive } from './is-active.ts';
import { MemorySection } from './memory-section.tsx';
import { NicSection } from './nic-section.tsx';
import { useChanges } from './use-changes.ts';

/** Memory and devices of a VM. Each change is made at once, as a task of its own. */
export function ChangeDialog(props: { readonly prefix: PrefixState; readonly vm: VmState; readonly onClose: () => void }): ReactElement {
  const { prefix, vm, onClose } = props;
  const changes = useChanges(prefix, vm);
  return (
    <Dialog title={`Change ${vm.name}`} width={600} onClose={onClose} actions={<Button onClick={onClose}>Done</Button>}>
      <p className="dim">
        {isActive(vm)
          ? 'Each change acts on the running VM at once, and is kept for its later starts.'
          : `${vm.name} is off: each change is in force from its next start on.`}
      </p>
      <div className={styles.sections}>
        <MemorySection vm={vm} changes={changes} />
        <DiskSection prefix={prefix} vm={vm} changes={changes} />
        <CdSection vm={vm} changes={changes} />
        <NicSection vm={vm} networks={prefix.networks} changes={changes} />
      </div>
    </Dialog>
  );
}
