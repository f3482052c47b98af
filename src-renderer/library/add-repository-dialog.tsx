import { Button, TextInput } from '@mantine/core';
import { type ReactElement, useEffect, useState } from 'react';
import { useCall } from '../engine-context.ts';
import { formatDuration } from '../format.ts';
import { isRunning, useOperations } from '../live-cache.ts';
import { Dialog } from '../ui/dialog.tsx';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { useNow } from '../ui/hooks/use-now.ts';
import styles from './dialogs.module.css';

/** Asks for a git repository. Stays open until it is cloned, or shows why cloning failed. */
export function AddRepositoryDialog(props: { readonly onClose: () => void; readonly onAdded: () => void }): ReactElement {
  const { onClose, onAdded } = props;
  const call = useCall();
  const operations = useOperations();
  const [url, setUrl] = useState('');
  const [started, setStarted] = useState<string>();
  const operation = operations.find((one) => one.id === started);
  const running = operation !== undefined && isRunning(operation);
  const now = useNow(running);
  const status = operation?.status;
  useEffect(() => {
    if (status === 'succeeded') onAdded();
  }, [status, onAdded]);

  async function add(): Promise<void> {
    const address = url.trim();
    if (address === '' || running) return;
    const answer = await call(`Could not add ${address}`, (client) => client.library.addRepository({ url: address }));
    setStarted(answer?.operation);
  }
  function cancel(): void {
    if (running) void call('Could not cancel', (client) => client.operation.cancel({ operation: operation.id }));
    else onClose();
  }

  return (
    <Dialog
      title="Add a template repository"
      width={540}
      onClose={onClose}
      onSubmit={() => void add()}
      actions={
        <>
          <Button onClick={cancel} disabled={status === 'cancelling'}>
            Cancel
          </Button>
          <Button type="submit" variant="filled" disabled={url.trim() === '' || running}>
            {running ? 'Adding…' : 'Add repository'}
          </Button>
        </>
      }
    >
      <TextInput
        label="Git repository"
        aria-label="Address of the git repository"
        description="It holds JSON files that list templates. A path on this machine is fine too."
        placeholder="https://example.org/lago-templates.git"
        classNames={{ input: 'mono' }}
        value={url}
        readOnly={running}
        onChange={(event) => setUrl(event.currentTarget.value)}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
      />
      <div className={styles.work} aria-live="polite">
        {running && <span className="dim">Cloning… {formatDuration(now - operation.startedAt)}</span>}
        {status === 'cancelled' && <span className="dim">Cancelled. Nothing was added.</span>}
        {status === 'failed' && operation?.error !== undefined && <ErrorNotice error={operation.error} />}
      </div>
    </Dialog>
  );
}
