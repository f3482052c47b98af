import { Button, NativeSelect, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { PrefixState } from '../../../src-shared/state.ts';
import { useCall } from '../../engine-context.ts';
import dialogs from '../../environments/dialogs.module.css';
import { count } from '../../format.ts';
import { usePrefixes } from '../../live-cache.ts';
import { environmentNameProblem } from '../../plan/plan-name.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { NameField } from '../../ui/name-field.tsx';
import { useWindow } from '../../window-state.ts';
import { forkProblem } from '../point-facts.ts';
import { freeName } from '../snapshot-name.ts';
import { forkNames, forkNumberProblem } from './fork-names.ts';
import styles from './snapshot-dialogs.module.css';

const PRESENT = '\0present';

/** Asks for the name of a second environment that goes on from a snapshot, or from the present. */
export function ForkDialog(props: {
  readonly prefix: PrefixState;
  /** The snapshot that is proposed; null: the present. */
  readonly snapshot: string | null;
  readonly onClose: () => void;
}): ReactElement {
  const { prefix, onClose } = props;
  const call = useCall();
  const { dispatch } = useWindow();
  const prefixes = usePrefixes() ?? [];
  const taken = prefixes.map((one) => one.name);
  const [name, setName] = useState(() => freeName(`${prefix.name}-fork`, taken));
  const [from, setFrom] = useState(props.snapshot ?? PRESENT);
  const [number, setNumber] = useState('1');
  const names = forkNames(name, Number(number));
  const problem = names.map((one) => environmentNameProblem(one, prefix.workdir ?? '', prefixes)).find((one) => one !== undefined);
  const wrongNumber = forkNumberProblem(number);
  const running = prefix.vms.filter((vm) => vm.status === 'running' || vm.status === 'paused').length;
  const snapshot = prefix.snapshots.find((one) => one.name === from);
  const memory = snapshot === undefined ? running : Object.values(snapshot.vms).filter((kind) => kind === 'memory').length;
  const vms = snapshot === undefined ? prefix.vms.length : Object.keys(snapshot.vms).length;

  async function fork(): Promise<void> {
    if (problem !== undefined || wrongNumber !== undefined) return;
    onClose();
    const started = await call(`Could not fork ${prefix.name}`, (client) =>
      client.prefix.fork({
        prefix: prefix.id,
        name,
        ...(snapshot === undefined ? {} : { snapshot: snapshot.name }),
        ...(names.length === 1 ? {} : { count: names.length }),
      }),
    );
    if (started !== undefined) dispatch({ type: 'forking', forking: { operation: started.operation, from: prefix.id, names } });
  }

  return (
    <Dialog
      title={`Fork ${prefix.name}`}
      onClose={onClose}
      onSubmit={() => void fork()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined || wrongNumber !== undefined}>
            Fork {count(vms, 'VM')}
            {names.length > 1 && `, ${names.length} times`}
          </Button>
        </>
      }
    >
      <p>
        Makes a second environment beside this one. It has the same disks, addresses and names, and shares what is on disk until one of them
        changes it. {memory > 0 ? `${count(memory, 'VM')} will be running there, with all processes.` : 'Its VMs are off at first.'}
      </p>
      <div className={dialogs.option}>
        <div className={styles.row}>
          <NameField
            label="Name of the fork"
            value={name}
            error={problem}
            data-autofocus
            onFocus={(event) => event.currentTarget.select()}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <TextInput
            label="How many"
            inputMode="numeric"
            value={number}
            error={wrongNumber}
            autoComplete="off"
            onChange={(event) => setNumber(event.currentTarget.value)}
          />
        </div>
        {names.length > 1 && (
          <p className="dim">
            All of the same moment: <span className="mono">{names[0]}</span> to <span className="mono">{names.at(-1)}</span>
          </p>
        )}
        <NativeSelect
          label="It goes on from"
          value={from}
          onChange={(event) => setFrom(event.currentTarget.value)}
          data={[
            { value: PRESENT, label: 'the present' },
            ...prefix.snapshots.toReversed().map((one) => ({ value: one.name, label: one.name, disabled: forkProblem(one) !== undefined })),
          ]}
        />
      </div>
    </Dialog>
  );
}
