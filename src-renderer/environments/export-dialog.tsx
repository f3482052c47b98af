import { Button, Checkbox, SegmentedControl } from '@mantine/core';
import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';
import { type ReactElement, useState } from 'react';
import type { PrefixState } from '../../src-shared/state.ts';
import { useCall, useEngine } from '../engine-context.ts';
import { count } from '../format.ts';
import { Dialog } from '../ui/dialog.tsx';
import { NameField } from '../ui/name-field.tsx';
import styles from './dialogs.module.css';
import { destinationProblem, proposedDestination } from './export-path.ts';

const KINDS = {
  layered: 'Small: disks stay layers on their templates, which must be known where they are used.',
  standalone: 'Larger: each disk is merged with its template and needs nothing else.',
} as const;

/** Asks where and how to export an environment. */
export function ExportDialog(props: { readonly prefix: PrefixState; readonly onClose: () => void }): ReactElement {
  const { prefix, onClose } = props;
  const call = useCall();
  const { expect } = useEngine();
  const [destination, setDestination] = useState(() => proposedDestination(prefix));
  const [kind, setKind] = useState<keyof typeof KINDS>('layered');
  const [compress, setCompress] = useState(true);
  const problem = destinationProblem(destination, prefix);

  async function start(): Promise<void> {
    if (problem !== undefined) return;
    onClose();
    const answer = await call(`Could not export ${prefix.name}`, (client) =>
      client.prefix.export({ prefix: prefix.id, destination, standalone: kind === 'standalone', compress }),
    );
    if (answer !== undefined) {
      expect(answer.operation, {
        title: `Exported ${prefix.name}`,
        message: 'Drop this folder on a window, or give it to “lago init”, to create the environment again.',
        path: destination,
      });
    }
  }

  return (
    <Dialog
      title={`Export ${prefix.name}`}
      onClose={onClose}
      onSubmit={() => void start()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined}>
            Export {count(prefix.vms.length, 'VM')}
          </Button>
        </>
      }
    >
      <p>Writes the disks and an init file to a folder, from which the environment can be created again on this or another machine.</p>
      <div className={styles.option}>
        <NameField
          label="Destination folder"
          value={destination}
          error={problem}
          data-autofocus
          onChange={(event) => setDestination(event.currentTarget.value)}
        />
        <SegmentedControl
          fullWidth
          size="xs"
          aria-label="Kind of export"
          value={kind}
          transitionDuration={100}
          onChange={(value) => setKind(value === 'standalone' ? 'standalone' : 'layered')}
          data={[
            { value: 'layered', label: 'Layered' },
            { value: 'standalone', label: 'Standalone' },
          ]}
        />
        <p className="dim">{KINDS[kind]}</p>
        <Checkbox
          size="xs"
          label="Compress the disks (xz)"
          checked={compress}
          onChange={(event) => setCompress(event.currentTarget.checked)}
        />
      </div>
    </Dialog>
  );
}
