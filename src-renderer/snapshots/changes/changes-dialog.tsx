import { Button, NativeSelect } from '@mantine/core';
import '@mantine/core/styles/Input.css';
import { type ReactElement, useState } from 'react';
import type { PrefixState } from '../../../src-shared/state.ts';
import { Dialog } from '../../ui/dialog.tsx';
import styles from './changes-dialog.module.css';
import { VmChanges } from './vm-changes.tsx';

/** The present in a list of snapshots: no snapshot can have this name. */
const PRESENT = '';

/** What changed on the disks of VMs between a snapshot and another one, or the present. */
export function ChangesDialog(props: {
  readonly prefix: PrefixState;
  /** Name of a snapshot. */
  readonly snapshot: string;
  readonly onClose: () => void;
}): ReactElement {
  const { prefix } = props;
  const [from, setFrom] = useState(props.snapshot);
  const [to, setTo] = useState(PRESENT);
  const names = prefix.snapshots.filter(({ kind }) => kind === 'layers').map(({ name }) => name);
  const vms = Object.keys(prefix.snapshots.find(({ name }) => name === from)?.vms ?? {});
  const [chosen, setChosen] = useState(vms[0]);
  const vm = chosen !== undefined && vms.includes(chosen) ? chosen : vms[0];
  return (
    <Dialog
      title={`What changed in ${prefix.name}?`}
      width={860}
      onClose={props.onClose}
      actions={<Button onClick={props.onClose}>Close</Button>}
    >
      <div className={styles.choice}>
        <NativeSelect label="VM" data={vms} value={vm ?? ''} onChange={(event) => setChosen(event.currentTarget.value)} />
        <NativeSelect label="From" data={names} value={from} onChange={(event) => setFrom(event.currentTarget.value)} />
        <NativeSelect
          label="To"
          data={[{ value: PRESENT, label: 'Now' }, ...names.filter((name) => name !== from)]}
          value={to === from ? PRESENT : to}
          onChange={(event) => setTo(event.currentTarget.value)}
        />
      </div>
      {vm !== undefined && (
        <VmChanges key={[vm, from, to].join('/')} prefix={prefix.id} vm={vm} from={from} to={to === PRESENT || to === from ? null : to} />
      )}
    </Dialog>
  );
}
