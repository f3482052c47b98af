import { Button, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { PrefixState, VmState } from '../../../src-shared/state.ts';
import { useCall, useEngine } from '../../engine-context.ts';
import { baseName, count } from '../../format.ts';
import { Dialog } from '../../ui/dialog.tsx';
import { PathInput } from '../../ui/path-input.tsx';
import styles from '../dialogs.module.css';

/** A copy that is to be asked about: files of this machine into a VM, or a file of a VM to this machine. */
export type WantedCopy =
  | { readonly way: 'to'; readonly vm: VmState; readonly paths: readonly string[] }
  | { readonly way: 'from'; readonly vm: VmState };

/** Asks for the path in the VM, then copies the files there. */
function CopyToDialog(props: {
  readonly prefix: PrefixState;
  readonly vm: VmState;
  readonly paths: readonly string[];
  readonly onClose: () => void;
}): ReactElement {
  const { prefix, vm, onClose } = props;
  const call = useCall();
  const [local, setLocal] = useState('');
  const [remote, setRemote] = useState('/root/');
  const given = props.paths.length > 0;
  const paths = given ? props.paths : [local.trim()];
  const problem = paths.every((path) => path.startsWith('/')) ? undefined : 'An absolute path, such as /home/me/file';

  async function start(): Promise<void> {
    if (problem !== undefined || remote === '') return;
    onClose();
    for (const path of paths) {
      await call(`Could not copy ${baseName(path)} to ${vm.name}`, (client) =>
        client.vm.copyTo({ prefix: prefix.id, vm: vm.name, local: path, remote }),
      );
    }
  }

  return (
    <Dialog
      title={`Copy ${given ? (paths.length === 1 ? baseName(paths[0] ?? '') : count(paths.length, 'item')) : 'files'} to ${vm.name}`}
      onClose={onClose}
      onSubmit={() => void start()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined || remote === ''}>
            Copy to {vm.name}
          </Button>
        </>
      }
    >
      <p>Directories are copied with everything in them, with modes, times and links.</p>
      <div className={styles.option}>
        {!given && (
          <PathInput
            label="File or directory of this machine"
            value={local}
            error={local === '' ? undefined : problem}
            autoFocus
            choices={[
              { label: 'File…', request: { what: 'file' } },
              { label: 'Directory…', request: { what: 'directory' } },
            ]}
            onChange={setLocal}
          />
        )}
        <TextInput
          label="Directory or new name in the VM"
          classNames={{ input: 'mono' }}
          value={remote}
          spellCheck={false}
          autoComplete="off"
          {...(given ? { 'data-autofocus': true } : {})}
          onChange={(event) => setRemote(event.currentTarget.value)}
        />
      </div>
    </Dialog>
  );
}

/** Asks which file of the VM to save, and where. */
function CopyFromDialog(props: { readonly prefix: PrefixState; readonly vm: VmState; readonly onClose: () => void }): ReactElement {
  const { prefix, vm, onClose } = props;
  const call = useCall();
  const { expect } = useEngine();
  const [remote, setRemote] = useState('/root/');
  const [local, setLocal] = useState(() => prefix.path.split('/').slice(0, 3).join('/'));
  const problem = local.startsWith('/') ? undefined : 'An absolute path, such as /home/me';

  async function start(): Promise<void> {
    if (problem !== undefined || remote === '') return;
    onClose();
    const answer = await call(`Could not save ${baseName(remote)} of ${vm.name}`, (client) =>
      client.vm.copyFrom({ prefix: prefix.id, vm: vm.name, local, remote }),
    );
    if (answer !== undefined) {
      expect(answer.operation, { title: `Saved ${baseName(remote)} of ${vm.name}`, message: 'It was saved to this path.', path: local });
    }
  }

  return (
    <Dialog
      title={`Save a file from ${vm.name}`}
      onClose={onClose}
      onSubmit={() => void start()}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" variant="filled" disabled={problem !== undefined || remote === ''}>
            Save
          </Button>
        </>
      }
    >
      <p>Directories are saved with everything in them, with modes, times and links.</p>
      <div className={styles.option}>
        <TextInput
          label="File or directory in the VM"
          classNames={{ input: 'mono' }}
          value={remote}
          spellCheck={false}
          autoComplete="off"
          data-autofocus
          onChange={(event) => setRemote(event.currentTarget.value)}
        />
        <PathInput
          label="Directory or new name on this machine"
          value={local}
          error={problem}
          choices={[
            { label: 'Directory…', request: { what: 'directory' } },
            { label: 'New name…', request: { what: 'save', name: baseName(remote) } },
          ]}
          onChange={setLocal}
        />
      </div>
    </Dialog>
  );
}

/** Asks what to copy between this machine and a VM, and where to. */
export function CopyDialog(props: {
  readonly prefix: PrefixState;
  readonly wanted: WantedCopy;
  readonly onClose: () => void;
}): ReactElement {
  const { prefix, wanted, onClose } = props;
  return wanted.way === 'to' ? (
    <CopyToDialog prefix={prefix} vm={wanted.vm} paths={wanted.paths} onClose={onClose} />
  ) : (
    <CopyFromDialog prefix={prefix} vm={wanted.vm} onClose={onClose} />
  );
}
