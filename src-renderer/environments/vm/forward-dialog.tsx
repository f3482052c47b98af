import { Button, TextInput } from '@mantine/core';
import { IconX } from '@tabler/icons-react';
import { type ReactElement, useState } from 'react';
import { forwardAddress } from '../../../src-shared/addresses.ts';
import type { ForwardState, PrefixState } from '../../../src-shared/state.ts';
import { useCall } from '../../engine-context.ts';
import { useForwards } from '../../live-cache.ts';
import { Copyable } from '../../ui/copyable.tsx';
import { Dialog } from '../../ui/dialog.tsx';
import { IconButton } from '../../ui/feedback/tip.tsx';
import dialogs from '../dialogs.module.css';
import styles from './forward-dialog.module.css';

/** The number of a port; undefined for any other text. */
function portOf(text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : undefined;
}

/** An open forward: its address, to copy or to open in the browser, and a button that closes it. */
function Open(props: { readonly forward: ForwardState }): ReactElement {
  const { id, port, localPort } = props.forward;
  const call = useCall();
  const address = forwardAddress(port, localPort);
  return (
    <li className={styles.open}>
      <span className={styles.port}>Port {port}</span>
      <Copyable text={address} what="address" />
      {address.startsWith('http') && (
        <a href={address} target="_blank" rel="noreferrer">
          Open in browser
        </a>
      )}
      <IconButton
        label={`Close the forward to port ${port}`}
        tip="Close it"
        icon={IconX}
        onClick={() => void call('Could not close the forward', (client) => client.forward.close({ forward: id }))}
      />
    </li>
  );
}

/** Makes a port of a VM reachable on this machine, and lists those that are. */
export function ForwardDialog(props: { readonly prefix: PrefixState; readonly vm: string; readonly onClose: () => void }): ReactElement {
  const { prefix, vm, onClose } = props;
  const call = useCall();
  const forwards = useForwards(prefix.id, vm);
  const [text, setText] = useState('80');
  const port = portOf(text);

  async function open(): Promise<void> {
    if (port === undefined) return;
    await call(`Could not forward port ${port} of ${vm}`, (client) => client.forward.open({ prefix: prefix.id, vm, port }));
  }

  return (
    <Dialog
      title={`Ports of ${vm}`}
      onClose={onClose}
      onSubmit={() => void open()}
      actions={
        <>
          <Button onClick={onClose}>Done</Button>
          <Button type="submit" variant="filled" disabled={port === undefined}>
            Forward port
          </Button>
        </>
      }
    >
      <p>A forwarded port of the VM can be reached on this machine, until it is closed here or the window quits.</p>
      <div className={dialogs.option}>
        <TextInput
          label="Port in the VM"
          classNames={{ input: 'mono' }}
          value={text}
          error={port === undefined ? 'A number from 1 to 65535' : undefined}
          inputMode="numeric"
          autoComplete="off"
          data-autofocus
          onChange={(event) => setText(event.currentTarget.value)}
        />
        {forwards.length > 0 && (
          <ul className={styles.list} aria-label={`Forwarded ports of ${vm}`}>
            {forwards.map((forward) => (
              <Open key={forward.id} forward={forward} />
            ))}
          </ul>
        )}
      </div>
    </Dialog>
  );
}
