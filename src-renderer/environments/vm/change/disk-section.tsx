import { Button, SegmentedControl, TextInput } from '@mantine/core';
import '@mantine/core/styles/FloatingIndicator.css';
import '@mantine/core/styles/SegmentedControl.css';
import { type ReactElement, useRef, useState } from 'react';
import type { PrefixState, VmState } from '../../../../src-shared/state.ts';
import { ADDED_IMAGES } from '../../../../src-shared/vm-change.ts';
import { baseName } from '../../../format.ts';
import { GuardedButton } from '../../../ui/guarded-button.tsx';
import { PathInput } from '../../../ui/path-input.tsx';
import styles from './change-dialog.module.css';
import { ChangeSection, DeviceList, FieldRow, focusSection } from './change-section.tsx';
import type { Changes } from './use-changes.ts';

type Disk = VmState['disks'][number];

/** A disk of the VM. Its removal is asked about, since the data on it goes too if its image was `made` for it. */
function DiskRow(props: { readonly disk: Disk; readonly first: boolean; readonly made: boolean; readonly changes: Changes }): ReactElement {
  const { disk, first, made, changes } = props;
  const { name, dev, format, path } = disk;
  const [asking, setAsking] = useState(false);
  const row = useRef<HTMLLIElement>(null);

  function close(): void {
    focusSection(row.current);
    setAsking(false);
  }

  return (
    <li ref={row} aria-label={`Disk ${dev}`}>
      <span className={`mono ${styles.name}`}>{dev}</span>
      <span className={`ellipsis ${styles.what}`} title={path}>
        {asking ? (made ? `Everything on ${name} is deleted.` : `${baseName(path)} stays.`) : `${name}, ${format}`}
      </span>
      {first ? (
        <span className="dim">boots from it</span>
      ) : asking ? (
        <>
          <Button size="compact-xs" autoFocus onClick={close}>
            Keep
          </Button>
          <GuardedButton
            size="compact-xs"
            variant="filled"
            color="red"
            blocked={changes.blocked}
            onClick={() => {
              close();
              changes.begin('disks', { kind: 'remove-disk', disk: name });
            }}
          >
            Remove {dev}
          </GuardedButton>
        </>
      ) : (
        <GuardedButton size="compact-xs" aria-label={`Remove disk ${dev}…`} blocked={changes.blocked} onClick={() => setAsking(true)}>
          Remove…
        </GuardedButton>
      )}
    </li>
  );
}

/** The VM's disks, and a new one: empty, or an image of this machine. */
export function DiskSection(props: { readonly prefix: PrefixState; readonly vm: VmState; readonly changes: Changes }): ReactElement {
  const { prefix, vm, changes } = props;
  const made = `${prefix.path}/${ADDED_IMAGES}/`;
  const disks = vm.disks.filter(({ format }) => format !== 'iso');
  const [kind, setKind] = useState<'empty' | 'image'>('empty');
  const [size, setSize] = useState('10G');
  const [file, setFile] = useState('');
  const sized = /^\d+(?:\.\d+)?[KMGT]?$/i.test(size);
  const found = file.startsWith('/');
  const idle = kind === 'empty' ? (sized ? undefined : 'Say how large it is') : found ? undefined : 'Choose an image first';

  function add(): void {
    if (idle !== undefined) return;
    // The user has named this very file; the files that it is based on are still checked.
    changes.begin('disks', kind === 'empty' ? { kind: 'add-disk', size } : { kind: 'add-disk', file, allowPaths: [file] });
  }

  return (
    <ChangeSection title="Disks" part="disks" changes={changes}>
      <DeviceList label="Disks" none="No disks.">
        {disks.map((disk) => (
          <DiskRow key={disk.name} disk={disk} first={disk === vm.disks[0]} made={disk.path.startsWith(made)} changes={changes} />
        ))}
      </DeviceList>
      <FieldRow onEnter={add}>
        <SegmentedControl
          size="xs"
          aria-label="Kind of new disk"
          value={kind}
          transitionDuration={100}
          onChange={(value) => setKind(value === 'image' ? 'image' : 'empty')}
          data={[
            { value: 'empty', label: 'Empty' },
            { value: 'image', label: 'Image' },
          ]}
        />
        {kind === 'empty' ? (
          <TextInput
            label="Size of the new disk"
            classNames={{ input: 'mono' }}
            value={size}
            error={sized ? undefined : 'A size, such as 500M or 10G'}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setSize(event.currentTarget.value.trim())}
          />
        ) : (
          <PathInput
            label="Disk image, which the guest changes"
            value={file}
            error={file === '' || found ? undefined : 'An absolute path, such as /home/me/data.qcow2'}
            choices={[{ label: 'File…', request: { what: 'file' } }]}
            onChange={setFile}
          />
        )}
        <GuardedButton blocked={changes.blocked ?? idle} onClick={add}>
          Add disk
        </GuardedButton>
      </FieldRow>
    </ChangeSection>
  );
}
