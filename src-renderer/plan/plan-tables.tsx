import { IconDownload } from '@tabler/icons-react';
import type { ReactElement } from 'react';
import type { z } from 'zod';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { Plan, PlannedDownload, PlannedVm } from '../../src-shared/plan.ts';
import { baseName, count, dots, formatMemory, subnetOf } from '../format.ts';
import table from '../ui/table.module.css';
import { useWindow } from '../window-state.ts';
import styles from './plan-tables.module.css';

const BOOTSTRAP: Readonly<Record<PlannedVm['bootstrap'], string | null>> = {
  'virt-sysprep': 'prepared by virt-sysprep',
  'cloud-init': 'cloud-init',
  none: null,
};

/** A short name for a disk's source: the template of `REPO:TEMPLATE:VERSION` or the file name of a path. The tooltip has all of it. */
function sourceName(source: string | null): string {
  if (source === null) return 'empty';
  return source.startsWith('/') ? baseName(source) : (source.split(':')[1] ?? source);
}

/** An address that the plan does not fix: assigned by DHCP where the network has it, else none. */
function Unplanned(props: { readonly dhcp: boolean }): ReactElement {
  if (props.dhcp) return <span className="faint">by DHCP</span>;
  return (
    <span className="faint" title="This network has no DHCP: the guest sets its own address, if it needs one">
      none
    </span>
  );
}

/** The VMs that would be created. */
export function PlannedVms(props: { readonly plan: Plan }): ReactElement {
  const vms = Object.entries(props.plan.vms);
  return (
    <section aria-label="VMs" className={styles.scroll} tabIndex={0}>
      <h2 className={styles.heading}>{count(vms.length, 'VM')}</h2>
      <table className={`${table.table} ${styles.top}`} aria-label="Planned VMs">
        <thead>
          <tr>
            <th title="Lago calls a VM a domain">Name</th>
            <th className={table.number}>Memory</th>
            <th className={table.number}>vCPU</th>
            <th>Disks</th>
            <th>Network</th>
            <th>Address</th>
            <th>MAC</th>
          </tr>
        </thead>
        <tbody>
          {vms.map(([name, vm]) => (
            <tr key={name} aria-label={name}>
              <td>
                <span className={`${styles.vm} mono`}>{name}</span>
                <span className={styles.sub}>
                  {dots(vm.distro, BOOTSTRAP[vm.bootstrap], vm.scripts.length > 0 && count(vm.scripts.length, 'deploy script'))}
                </span>
              </td>
              <td className={table.number}>{formatMemory(vm.memory)}</td>
              <td className={table.number}>{vm.vcpu}</td>
              <td>
                {vm.disks.map((disk) => (
                  <div key={disk.dev} className={styles.disk}>
                    <code className="faint">{disk.dev}</code>{' '}
                    <span title={`${disk.format}, ${disk.path}${disk.source === null ? '' : `\nfrom ${disk.source}`}`}>
                      <span className={styles.source}>{sourceName(disk.source)}</span>
                      {disk.size !== null && <span className="faint"> {formatBytes(disk.size)}</span>}
                    </span>
                  </div>
                ))}
              </td>
              <td className="mono nowrap">
                {vm.nics.map((nic, index) => (
                  // A VM may have two NICs on one network; only their index differs.
                  <div key={index}>{nic.net}</div>
                ))}
              </td>
              <td className="mono">
                {vm.nics.map((nic, index) => (
                  <div key={index}>{nic.ip ?? <Unplanned dhcp={(props.plan.nets[nic.net]?.dhcp ?? null) !== null} />}</div>
                ))}
              </td>
              <td className="mono faint nowrap">
                {vm.nics.map((nic, index) => (
                  <div key={index}>{nic.mac ?? 'generated'}</div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** The networks that would be created. */
export function PlannedNets(props: { readonly plan: Plan }): ReactElement {
  const nets = Object.entries(props.plan.nets);
  return (
    <section aria-label="Networks" className={styles.scroll} tabIndex={0}>
      <h2 className={styles.heading}>{count(nets.length, 'network')}</h2>
      <table className={`${table.table} ${styles.top}`} aria-label="Planned networks">
        <thead>
          <tr>
            <th>Name</th>
            <th>Type</th>
            <th>Subnet</th>
            <th>DHCP range</th>
            <th>Names</th>
          </tr>
        </thead>
        <tbody>
          {nets.map(([name, net]) => {
            const names = Object.entries({ ...net.mapping, ...net.dns_records });
            return (
              <tr key={name} aria-label={name}>
                <td>
                  <span className={`${styles.vm} mono`}>{name}</span>
                  <span className={styles.sub}>{dots(net.management && 'management', net.dns_domain_name)}</span>
                </td>
                <td>
                  {net.type === 'nat' ? 'NAT' : 'bridge'}
                  {net.mtu !== null && <span className={styles.sub}>MTU {net.mtu}</span>}
                </td>
                <td className="mono">
                  {subnetOf(net.gw) ?? '–'}
                  {net.gw !== null && <span className={styles.sub}>gateway {net.gw}</span>}
                </td>
                <td className="mono nowrap">{net.dhcp === null ? '–' : `.${net.dhcp.start} – .${net.dhcp.end}`}</td>
                <td>
                  <ul className={styles.names}>
                    {names.slice(0, 6).map(([host, address]) => (
                      <li key={host} className="mono">
                        {host} <span className="faint">{address}</span>
                      </li>
                    ))}
                    {names.length > 6 && <li className="faint">and {names.length - 6} more</li>}
                    {names.length === 0 && <li className="faint">none</li>}
                  </ul>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

/** The images that would be downloaded first. */
export function Downloads(props: { readonly downloads: readonly z.infer<typeof PlannedDownload>[] }): ReactElement {
  const { dispatch } = useWindow();
  const templates = props.downloads.filter((download) => !/^[a-z]+:\/\//.test(download.name));
  function showLibrary(): void {
    const [first] = templates;
    // A moving version gets its real name only when it is downloaded, so filter by the template's name.
    const filter = first !== undefined && templates.length === 1 ? first.name.slice(0, first.name.lastIndexOf(':')) : '';
    dispatch({ type: 'library', change: { view: 'templates', filter, stored: false } });
    dispatch({ type: 'show', page: { kind: 'library' } });
  }
  const known = props.downloads.reduce((sum, download) => sum + (download.size ?? 0), 0);
  return (
    <section aria-label="Downloads">
      <div className={styles.downloads}>
        <h3>
          Downloads <span className="faint">{known > 0 && formatBytes(known)}</span>
        </h3>
        {templates.length > 0 && (
          <button type="button" className={styles.library} title="Download ahead, pause and resume in the library" onClick={showLibrary}>
            Show in the library
          </button>
        )}
      </div>
      <ul>
        {props.downloads.map((download) => (
          <li key={download.name} className={styles.download} title={`${download.name}\nfrom ${download.from}`}>
            <IconDownload size={14} stroke={1.6} />
            <span className="mono ellipsis">{download.name}</span>
            <span className="nowrap dim">{download.size === null ? 'size unknown' : formatBytes(download.size)}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
