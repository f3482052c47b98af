import { TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import type { VmState } from '../../../../src-shared/state.ts';
import { LEAST_MEMORY, MOST_MEMORY } from '../../../../src-shared/vm-change.ts';
import { GuardedButton } from '../../../ui/guarded-button.tsx';
import { ChangeSection, FieldRow } from './change-section.tsx';
import { isActive } from './is-active.ts';
import type { Changes } from './use-changes.ts';

/** How much memory the VM has or gets. */
export function MemorySection(props: { readonly vm: VmState; readonly changes: Changes }): ReactElement {
  const { vm, changes } = props;
  const active = isActive(vm);
  const present = vm.balloon ?? vm.memory;
  const most = active ? vm.memory : MOST_MEMORY;
  const [text, setText] = useState(String(present));
  const wanted = /^\d{1,8}$/.test(text) ? Number(text) : 0;
  const fits = wanted >= LEAST_MEMORY && wanted <= most;
  const range = active ? `A number from ${LEAST_MEMORY} to ${most}; more when the VM is off` : `A number, at least ${LEAST_MEMORY}`;
  const idle = fits ? (wanted === present ? `${vm.name} has ${present} MiB` : undefined) : range;
  const blocked = changes.blocked ?? idle;

  function set(): void {
    if (idle === undefined) changes.begin('memory', { kind: 'memory', size: text });
  }

  return (
    <ChangeSection title="Memory" part="memory" changes={changes}>
      <FieldRow onEnter={set}>
        <TextInput
          label="Memory in MiB"
          classNames={{ input: 'mono' }}
          value={text}
          error={fits ? undefined : range}
          inputMode="numeric"
          autoComplete="off"
          data-autofocus
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <GuardedButton blocked={blocked} onClick={set}>
          Set memory
        </GuardedButton>
      </FieldRow>
      <p className="dim">
        {active
          ? present < vm.memory
            ? `The guest has ${present} of its ${vm.memory} MiB; its balloon holds the rest back.`
            : `The guest has all of its ${vm.memory} MiB; with less, its balloon holds the rest back.`
          : `It will be started with ${present} MiB.`}
      </p>
    </ChangeSection>
  );
}
