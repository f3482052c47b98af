import { IconNetwork } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { NetworkState, VmState } from '../../src-shared/state.ts';
import { subnetOf } from '../format.ts';
import { Copyable } from '../ui/copyable.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import table from '../ui/table.module.css';
import styles from './network-table.module.css';
import { networkStatus } from './status.ts';

/** An environment's networks and the VMs on them. */
export function NetworkTable(props: { readonly networks: readonly NetworkState[]; readonly vms: readonly VmState[] }): ReactElement {
  if (props.networks.length === 0) return <Empty compact icon={IconNetwork} title="No networks" />;
  return (
    <table className={`${table.table} ${styles.table}`} aria-label="Networks">
      <thead>
        <tr>
          <th>Name</th>
          <th>State</th>
          <th>Type</th>
          <th>Subnet</th>
          <th>Gateway</th>
          <th title="Host numbers of the addresses that DHCP hands out">DHCP range</th>
          <th>DNS domain</th>
          <th>VMs</th>
        </tr>
      </thead>
      <tbody>
        {props.networks.map((network) => {
          const status = networkStatus(network);
          const members = props.vms.filter((vm) => vm.nics.some((nic) => nic.network === network.name));
          return (
            <tr key={network.name} aria-label={network.name}>
              <td>
                <span className="mono">{network.name}</span>
                {network.management && (
                  <span className={styles.tag} title="ssh and names of VMs go over this network">
                    management
                  </span>
                )}
              </td>
              <td>
                <StateMark tone={status.tone} icon={status.icon}>
                  {status.word}
                </StateMark>
              </td>
              <td>{network.type === 'nat' ? 'NAT' : 'bridge'}</td>
              <td className="mono">{subnetOf(network.gateway) ?? '–'}</td>
              <td>{network.gateway === null ? '–' : <Copyable text={network.gateway} what={`gateway of ${network.name}`} />}</td>
              <td className="mono">{network.dhcp === null ? '–' : `.${network.dhcp.start} – .${network.dhcp.end}`}</td>
              <td className="mono">{network.domain ?? '–'}</td>
              <td className="mono">{members.map((vm) => vm.name).join(', ') || '–'}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
