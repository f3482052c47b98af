import { Button, Checkbox, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import { machineName, parseMachineAddress } from '../../src-shared/host/machine-address.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall } from '../engine-context.ts';
import { count } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import styles from './dialogs.module.css';

/** Asks for the environment's name before destroying it, and lists what will be deleted. */
export function DestroyDialog(props: { readonly prefix: PrefixState; readonly onClose: () => void }): ReactElement {
  const { prefix, onClose } = props;
  const call = useCall();
  const [typed, setTyped] = useState('');
  const [forget, setForget] = useState(false);
  const silent = prefix.host.kind === 'remote' && prefix.host.status === 'unusable';
  const address = parseMachineAddress(prefix.host.uri);
  const machine = address === undefined ? prefix.host.uri : machineName(address);
  const matches = typed === prefix.name;
  function destroy(): void {
    if (!matches) return;
    onClose();
    void call(`Could not destroy ${prefix.name}`, (client) => client.prefix.destroy({ prefix: prefix.id, forget: silent && forget }));
  }
  return (
    <Dialog
      title={`Destroy ${prefix.name}?`}
      onClose={onClose}
      onSubmit={destroy}
      actions={
        <>
          <Button onClick={onClose}>Keep it</Button>
          <Button type="submit" variant="filled" color="red" disabled={!matches}>
            Destroy {prefix.name}
          </Button>
        </>
      }
    >
      <p>This cannot be undone. What is lost:</p>
      <ul className={styles.lost}>
        {prefix.vms.length > 0 && (
          <li>
            {count(prefix.vms.length, 'VM')} with all data on {prefix.vms.length === 1 ? 'its' : 'their'} disks:{' '}
            <span className="mono">{prefix.vms.map((vm) => vm.name).join(', ')}</span>
          </li>
        )}
        {prefix.snapshots.length > 0 && (
          <li>
            {count(prefix.snapshots.length, 'snapshot')}:{' '}
            <span className="mono">{prefix.snapshots.map((snapshot) => snapshot.name).join(', ')}</span>
          </li>
        )}
        {prefix.networks.length > 0 && (
          <li>
            {count(prefix.networks.length, 'network')}:{' '}
            <span className="mono">{prefix.networks.map((network) => network.name).join(', ')}</span>
          </li>
        )}
        <li>
          The folder <span className="mono">{prefix.path}</span> ({formatBytes(prefix.diskUsage)})
        </li>
      </ul>
      {silent && (
        <div className={styles.gone}>
          <Checkbox
            size="xs"
            label={`${machine} is gone for good: remove only what is here`}
            checked={forget}
            onChange={(event) => setForget(event.currentTarget.checked)}
          />
          <p className="dim">
            It does not answer. Should it come back, disks and VMs are still there, in{' '}
            <span className="mono">~/.local/share/lago/remote/{prefix.id}</span>.
          </p>
        </div>
      )}
      <TextInput
        label={
          <>
            Type <span className={styles.typeName}>{prefix.name}</span> to confirm
          </>
        }
        aria-label={`Type ${prefix.name} to confirm`}
        classNames={{ input: 'mono' }}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
    </Dialog>
  );
}
