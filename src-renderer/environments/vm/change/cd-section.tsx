import { NativeSelect } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { VmState } from '../../../../src-shared/state.ts';
import { baseName } from '../../../format.ts';
import { GuardedButton } from '../../../ui/guarded-button.tsx';
import { PathInput } from '../../../ui/path-input.tsx';
import styles from './change-dialog.module.css';
import { ChangeSection, DeviceList, FieldRow } from './change-section.tsx';
import { isActive } from './is-active.ts';
import type { Changes } from './use-changes.ts';

/** The VM's CD drives and what is in them. */
export function CdSection(props: { readonly vm: VmState; readonly changes: Changes }): ReactElement {
  const { vm, changes } = props;
  const drives = vm.disks.filter(({ format }) => format === 'iso');
  const [file, setFile] = useState('');
  const [chosen, setChosen] = useState('');
  const device = drives.find(({ dev }) => dev === chosen)?.dev ?? drives[0]?.dev;
  const idle = file.startsWith('/') ? undefined : 'Choose an image first';

  function insert(): void {
    if (idle === undefined) changes.begin('cd', { kind: 'cd', file, ...(device === undefined ? {} : { device }) });
  }

  return (
    <ChangeSection title="CD drives" part="cd" changes={changes}>
      <DeviceList
        label="CD drives"
        none={`No CD drive. Inserting a CD adds one${isActive(vm) ? ', which is there from the next start on' : ''}.`}
      >
        {drives.map(({ name, dev, path }) => (
          <li key={dev} aria-label={`CD drive ${dev}`}>
            <span className={`mono ${styles.name}`}>{dev}</span>
            <span className={`ellipsis ${styles.what}`} title={path === '' ? undefined : path}>
              {path === '' ? <span className="dim">empty</span> : baseName(path)}
            </span>
            <GuardedButton
              size="compact-xs"
              aria-label={`Eject the CD of ${dev}`}
              blocked={changes.blocked ?? (path === '' ? `${dev} is empty` : undefined)}
              onClick={() => changes.begin('cd', { kind: 'cd', file: null, device: name })}
            >
              Eject
            </GuardedButton>
          </li>
        ))}
      </DeviceList>
      <FieldRow onEnter={insert}>
        {drives.length > 1 && (
          <NativeSelect
            label="Drive"
            data={drives.map(({ dev }) => dev)}
            value={device}
            onChange={(event) => setChosen(event.currentTarget.value)}
          />
        )}
        <PathInput
          label="CD image (ISO)"
          value={file}
          error={file === '' || idle === undefined ? undefined : 'An absolute path, such as /home/me/cd.iso'}
          choices={[{ label: 'File…', request: { what: 'file' } }]}
          onChange={setFile}
        />
        <GuardedButton blocked={changes.blocked ?? idle} onClick={insert}>
          Insert
        </GuardedButton>
      </FieldRow>
    </ChangeSection>
  );
}
