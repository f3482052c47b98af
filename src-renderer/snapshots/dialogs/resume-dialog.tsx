import { Button } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { ExportedSnapshot } from '../../../src-shared/snapshot/exported-snapshot.ts';
import { useCall } from '../../engine-context.ts';
import dialogs from '../../environments/dialogs.module.css';
import { count } from '../../format.ts';
import { usePrefixes } from '../../live-cache.ts';
import { environmentNameProblem } from '../../plan/plan-name.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { NameField } from '../../ui/name-field.tsx';
import { useWindow } from '../../window-state.ts';
import { freeName } from '../snapshot-name.ts';

/** An exported snapshot that was dropped on the window or opened. */
export interface Resumable {
  readonly folder: string;
  readonly exported: ExportedSnapshot;
  /** Where new environments are made. */
  readonly workdir: string;
}

/** Asks for the name of an environment that goes on from an exported snapshot. */
export function ResumeDialog(props: { readonly resumable: Resumable; readonly onClose: () => void }): ReactElement {
  const { onClose } = props;
  const { folder, exported, workdir } = props.resumable;
  const call = useCall();
  const { dispatch } = useWindow();
  const prefixes = usePrefixes() ?? [];
  const [name, setName] = useState(() =>
    freeName(
      exported.environment,
      prefixes.map((one) => one.name),
    ),
  );
  const problem = environmentNameProblem(name, workdir, prefixes);
  const kinds = Object.values(exported.vms);
  const memory = kinds.filter((kind) => kind === 'memory').length;

  async function resume(): Promise<void> {
    if (problem !== undefined) return;
    onClose();
    const started = await call(`Could not go on from “${exported.snapshot}”`, (client) =>
      client.prefix.resumeExported({ folder, workdir, name }),
    );
    if (started !== undefined) dispatch({ type: 'forking', forking: { operation: started.operation, from: null, names: [name] } });
  }

  return (
    <Dialog
      title={`Go on from “${exported.snapshot}” of ${exported.environment}`}
      onClose={onClose}
      onSubmit={() => void resume()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined}>
            {memory > 0 ? `Resume ${count(memory, 'VM')}` : 'Create environment'}
          </Button>
        </>
      }
    >
      <p>
        <span className="mono">{folder}</span> is an exported snapshot, of {new Date(exported.createdAt).toLocaleString()}. Makes an
        environment that goes on from it.{' '}
        {memory > 0 ? `${count(memory, 'VM')} will be running, with all processes and connections.` : 'Its VMs are off at first.'} Use it
        only if you trust where it comes from.
      </p>
      <div className={dialogs.option}>
        <NameField
          label="Name of the environment"
          value={name}
          error={problem}
          data-autofocus
          onFocus={(event) => event.currentTarget.select()}
          onChange={(event) => setName(event.currentTarget.value)}
        />
      </div>
    </Dialog>
  );
}
