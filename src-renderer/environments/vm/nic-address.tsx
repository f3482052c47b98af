import type { ReactElement } from 'react';
import type { AddressSource, NicState } from '../../../src-shared/state.ts';
import { Copyable } from '../../ui/copyable.tsx';

const SOURCES: Readonly<Record<AddressSource, string>> = {
  agent: 'the guest agent says so',
  lease: 'leased by DHCP',
  arp: 'seen on the network (ARP)',
};

/** The addresses of a network card: those that it has been seen with, else the one that is reserved for it. The tooltip says how they are known. */
export function NicAddress(props: { readonly vm: string; readonly nic: NicState }): ReactElement {
  const { vm, nic } = props;
  const { ip, network, seen = [] } = nic;
  if (seen.length === 0) {
    if (ip === null) return <span className="faint" title={network}>{`${network}: no address`}</span>;
    return (
      <span title={network}>
        <Copyable text={ip} what={`address of ${vm}`} />
      </span>
    );
  }
  const other = ip === null || seen.some((one) => one.ip === ip) ? '' : `; ${ip} is reserved for it`;
  return (
    <>
      {seen.map((one) => (
        <span key={one.ip} title={`${network}: ${SOURCES[one.source]}${other}`}>
          <Copyable text={one.ip} what={`address of ${vm}`} />
        </span>
      ))}
    </>
  );
}
