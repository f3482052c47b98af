import { Button } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { SnapshotState } from '../../../src-shared/snapshot/timeline.ts';
import type { PrefixState } from '../../../src-shared/state.ts';
import { useCall, useEngine } from '../../engine-context.ts';
import dialogs from '../../environments/dialogs.module.css';
import { destinationProblem, proposedFolder } from '../../environments/export-path.ts';
import { count } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { NameField } from '../../ui/name-field.tsx';

/** Asks where to export a snapshot to. */
export function ExportPointDialog(props: {
  readonly prefix: PrefixState;
  readonly snapshot: SnapshotState;
  readonly onClose: () => void;
}): ReactElement {
  const { prefix, snapshot, onClose } = props;
  const call = useCall();
  const { expect } = useEngine();
  const [destination, setDestination] = useState(() => proposedFolder(prefix, `${prefix.name}-${snapshot.name.replaceAll(' ', '-')}`));
  const problem = destinationProblem(destination, prefix);
  const memory = Object.values(snapshot.vms).filter((kind) => kind === 'memory').length;

  async function start(): Promise<void> {
    if (problem !== undefined) return;
    onClose();
    const started = await call(`Could not export the snapshot “${snapshot.name}”`, (client) =>
      client.prefix.exportSnapshot({ prefix: prefix.id, snapshot: snapshot.name, destination }),
    );
    if (started !== undefined) {
      expect(started.operation, {
        title: `Exported “${snapshot.name}”`,
        message: 'Drop this folder on a window, or give it to “lago init --resume”, to go on from it.',
        path: destination,
      });
    }
  }

  return (
    <Dialog
      title={`Export “${snapshot.name}”`}
      onClose={onClose}
      onSubmit={() => void start()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined}>
            Export {count(Object.keys(snapshot.vms).length, 'VM')}
          </Button>
        </>
      }
    >
      <p>
        Writes this moment to a folder that needs nothing else, from which the environment goes on, on this or another machine.{' '}
        {memory > 0
          ? `${count(memory, 'VM')} will be running there, with all processes and connections; that needs the same kind of processor.`
          : 'Its VMs are off there at first.'}
      </p>
      <div className={dialogs.option}>
        <NameField
          label="New folder"
          value={destination}
          error={problem}
          data-autofocus
          onChange={(event) => setDestination(event.currentTarget.value)}
        />
      </div>
    </Dialog>
  );
}
