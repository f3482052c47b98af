import { NativeSelect, Switch } from '@mantine/core';
import '@mantine/core/styles/Switch.css';
import { type ReactElement, useRef, useState } from 'react';
import type { NetworkState, NicState, VmState } from '../../../../src-shared/state.ts';
import { Tip } from '../../../ui/feedback/tip.tsx';
import { GuardedButton } from '../../../ui/guarded-button.tsx';
import styles from './change-dialog.module.css';
import { ChangeSection, DeviceList, FieldRow, focusSection } from './change-section.tsx';
import type { Changes } from './use-changes.ts';

/** A network card: its cable can be unplugged, and it can be taken out. */
function NicRow(props: { readonly nic: NicState; readonly required: boolean; readonly changes: Changes }): ReactElement {
  const { nic, required, changes } = props;
  const { name, network, ip, link } = nic;
  const plugged = link === undefined;
  const row = useRef<HTMLLIElement>(null);

  function remove(): void {
    focusSection(row.current);
    changes.begin('nics', { kind: 'remove-nic', nic: name });
  }

  return (
    <li ref={row} aria-label={`Network card ${name}`}>
      <span className={`mono ${styles.name}`}>{name}</span>
      <span className={`ellipsis ${styles.what}`}>{ip === null ? network : `${network}, ${ip}`}</span>
      <Tip label={changes.blocked}>
        <Switch
          size="xs"
          label="Connected"
          aria-label={`${name} connected`}
          checked={plugged}
          aria-disabled={changes.blocked !== undefined}
          onChange={() => changes.begin('nics', { kind: 'link', nic: name, link: plugged ? 'down' : 'up' })}
        />
      </Tip>
      <GuardedButton
        size="compact-xs"
        aria-label={`Remove network card ${name}`}
        blocked={changes.blocked ?? (required ? 'The VM is reached by it: unplug it instead' : undefined)}
        onClick={remove}
      >
        Remove
      </GuardedButton>
    </li>
  );
}

/** The VM's network cards, and a new one on a network of its environment. */
export function NicSection(props: {
  readonly vm: VmState;
  readonly networks: readonly NetworkState[];
  readonly changes: Changes;
}): ReactElement {
  const { vm, networks, changes } = props;
  const [chosen, setChosen] = useState('');
  const net = networks.find(({ name }) => name === chosen)?.name ?? networks[0]?.name;
  const management = networks.find((network) => network.management)?.name;
  const managed = vm.nics.filter(({ network }) => network === management).length;

  function add(): void {
    if (net !== undefined) changes.begin('nics', { kind: 'add-nic', net });
  }

  return (
    <ChangeSection title="Network cards" part="nics" changes={changes}>
      <DeviceList label="Network cards" none="No network cards.">
        {vm.nics.map((nic) => (
          <NicRow key={nic.name} nic={nic} required={nic.network === management && managed === 1} changes={changes} />
        ))}
      </DeviceList>
      {net !== undefined && (
        <FieldRow onEnter={add}>
          <NativeSelect
            label="Network of the new card"
            data={networks.map(({ name }) => name)}
            value={net}
            onChange={(event) => setChosen(event.currentTarget.value)}
          />
          <GuardedButton blocked={changes.blocked} onClick={add}>
            Add card
          </GuardedButton>
        </FieldRow>
      )}
    </ChangeSection>
  );
}
