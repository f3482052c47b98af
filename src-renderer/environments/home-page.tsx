import { Button } from '@mantine/core';
import type { InferContractRouterOutputs } from '@orpc/contract';
import { IconFileCode, IconFolderOpen, IconSparkles, IconStack2 } from '@tabler/icons-react';
import { type KeyboardEvent, type ReactElement, useEffect, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { Contract } from '../../src-shared/contract.ts';
import type { WireError } from '../../src-shared/errors.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { readError } from '../engine-client.ts';
import { useEngine } from '../engine-context.ts';
import { dots, formatAgo, formatFraction, subnetOf } from '../format.ts';
import { useConnection, usePrefixes, useRunningOperation } from '../live-cache.ts';
import { ErrorNotice } from '../ui/feedback/error-notice.tsx';
import { ProgressBar } from '../ui/feedback/progress-bar.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { IconButton } from '../ui/feedback/tip.tsx';
import { type MenuPlace, menuPlace } from '../ui/menu/action.ts';
import { ActionMenu, ContextMenu } from '../ui/menu/action-menu.tsx';
import { rowSibling } from '../ui/row-sibling.ts';
import table from '../ui/table.module.css';
import { useWindow } from '../window-state.ts';
import styles from './home-page.module.css';
import { DestroyDialog, ExportDialog, ForkDialog } from './lazy-dialogs.ts';
import { prefixStatus, sizeOf } from './status.ts';
import { useEnvironmentActions } from './use-environment-actions.tsx';

type Info = InferContractRouterOutputs<Contract>['app']['info'];

/** Facts about the program, read when the page opens; only the recent files change while it runs. */
function useInfo(): { readonly info: Info | undefined; readonly error: WireError | undefined } {
  const { connection } = useEngine();
  const connected = useConnection().status === 'connected';
  const [info, setInfo] = useState<Info>();
  const [error, setError] = useState<WireError>();
  useEffect(() => {
    if (!connected) return undefined;
    let gone = false;
    async function read(): Promise<void> {
      try {
        const answer = await connection.client.app.info();
        if (!gone) setInfo(answer);
      } catch (cause) {
        if (!gone) setError(readError(cause));
      }
    }
    void read();
    return () => {
      gone = true;
    };
  }, [connection, connected]);
  return { info, error };
}

function Row(props: { readonly prefix: PrefixState; readonly focusable: boolean }): ReactElement {
  const { prefix } = props;
  const { dispatch } = useWindow();
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const [destroying, setDestroying] = useState(false);
  const [exporting, setExporting] = useState(false);
  const [forking, setForking] = useState(false);
  const actions = useEnvironmentActions(prefix, {
    onFork: () => setForking(true),
    onExport: () => setExporting(true),
    onDestroy: () => setDestroying(true),
  });
  const operation = useRunningOperation(prefix.id);
  const status = prefixStatus(prefix, operation);
  const open = (): void => dispatch({ type: 'show', page: { kind: 'environment', id: prefix.id } });
  const networks = prefix.networks.map((network) => subnetOf(network.gateway) ?? `${network.name} (bridge)`);

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    const sibling = rowSibling(event);
    if (event.key === 'Enter') open();
    else if (event.key === 'Delete') setDestroying(true);
    else if (sibling !== undefined) sibling.focus();
    else return;
    event.preventDefault();
  }

  return (
    <>
      <tr
        tabIndex={props.focusable ? 0 : -1}
        aria-label={prefix.name}
        data-menu={place !== null}
        className={styles.row}
        onClick={open}
        onKeyDown={onKeyDown}
        onContextMenu={(event) => setPlace(menuPlace(event))}
      >
        <td>
          <span className={styles.name}>{prefix.name}</span>
          <span className={styles.size}>{sizeOf(prefix)}</span>
        </td>
        <td>
          {operation === undefined ? (
            <StateMark tone={status.tone} icon={status.icon} spin={status.spin === true}>
              {status.word}
            </StateMark>
          ) : (
            <span className={styles.progress}>
              <ProgressBar fraction={operation.fraction} label={operation.label} width={64} />
              <span>{formatFraction(operation.fraction)}</span>
              <span className="ellipsis dim">{operation.label}</span>
            </span>
          )}
        </td>
        <td className="mono">{networks.length > 2 ? `${networks.slice(0, 2).join(', ')} +${networks.length - 2}` : networks.join(', ')}</td>
        <td className={table.number}>{formatBytes(prefix.diskUsage)}</td>
        <td className={styles.path} title={prefix.path}>
          <span className="mono">{prefix.path}</span>
        </td>
        <td className={table.actions} onClick={(event) => event.stopPropagation()}>
          <div className={table.actionRow}>
            {actions.slice(0, 2).map((action) => (
              <IconButton
                key={action.id}
                label={`${action.label} ${prefix.name}`}
                tip={action.blocked ?? action.label}
                icon={action.icon}
                disabled={action.blocked !== undefined}
                onClick={action.run}
              />
            ))}
            <ActionMenu label={`More for ${prefix.name}`} actions={actions} />
          </div>
          <ContextMenu label={`Actions for ${prefix.name}`} place={place} actions={actions} onClose={() => setPlace(null)} />
          {destroying && <DestroyDialog prefix={prefix} onClose={() => setDestroying(false)} />}
          {exporting && <ExportDialog prefix={prefix} onClose={() => setExporting(false)} />}
          {forking && <ForkDialog prefix={prefix} snapshot={null} onClose={() => setForking(false)} />}
        </td>
      </tr>
    </>
  );
}

function Welcome(props: { readonly info: Info | undefined; readonly onOpenFile: () => void }): ReactElement {
  const { dispatch } = useWindow();
  const { info } = props;
  const sample = info?.samples[0];
  const now = Date.now();
  return (
    <div className={styles.welcome}>
      <IconStack2 size={48} stroke={1.1} className={styles.welcomeIcon ?? ''} />
      <h1>Drop an init file here</h1>
      <p className="dim">It describes VMs and networks. Nothing is created until you confirm.</p>
      <div className={styles.buttons}>
        <Button
          variant="filled"
          leftSection={<IconSparkles size={16} stroke={1.6} />}
          disabled={sample === undefined}
          onClick={() => sample !== undefined && dispatch({ type: 'show', page: { kind: 'plan', path: sample.path } })}
        >
          Try the two-VM sample
        </Button>
        <Button leftSection={<IconFolderOpen size={16} stroke={1.6} />} onClick={props.onOpenFile}>
          Open a file…
        </Button>
      </div>
      {info !== undefined && info.recent.length > 0 && (
        <section className={styles.recent} aria-label="Recent">
          <h2 className="faint">Recent</h2>
          <ul>
            {info.recent.slice(0, 6).map((recent) => (
              <li key={recent.path}>
                <button
                  type="button"
                  className={styles.recentRow}
                  onClick={() => dispatch({ type: 'show', page: { kind: 'plan', path: recent.path } })}
                >
                  <IconFileCode size={16} stroke={1.5} />
                  <span>{recent.name}</span>
                  <span className={`${styles.recentPath} mono faint`}>{recent.path}</span>
                  <span className="faint nowrap">{formatAgo(recent.usedAt, now)}</span>
                </button>
              </li>
            ))}
          </ul>
        </section>
      )}
    </div>
  );
}

/** All environments, or how to create the first one. */
export function HomePage(props: { readonly onOpenFile: () => void }): ReactElement {
  const prefixes = usePrefixes();
  const { info, error } = useInfo();
  const { dispatch } = useWindow();
  const sample = info?.samples[0];
  if (prefixes === undefined) return <div className={styles.page} aria-busy="true" />;
  if (prefixes.length === 0) {
    return (
      <div className={styles.page}>
        <Welcome info={info} onOpenFile={props.onOpenFile} />
        {error !== undefined && <ErrorNotice title="Could not read samples and recent files" error={error} />}
      </div>
    );
  }
  const running = prefixes.reduce((sum, prefix) => sum + prefix.vms.filter((vm) => vm.status === 'running').length, 0);
  const all = prefixes.reduce((sum, prefix) => sum + prefix.vms.length, 0);
  const disk = prefixes.reduce((sum, prefix) => sum + prefix.diskUsage, 0);
  return (
    <div className={styles.page}>
      <header className={styles.header}>
        <div>
          <h1>Environments</h1>
          <p className="dim">{dots(`${running} of ${all} VMs running`, `${formatBytes(disk)} on disk`)}</p>
        </div>
        <span className={styles.space} />
        {sample !== undefined && (
          <Button variant="subtle" color="gray" onClick={() => dispatch({ type: 'show', page: { kind: 'plan', path: sample.path } })}>
            Try the two-VM sample
          </Button>
        )}
        <Button variant="filled" leftSection={<IconFolderOpen size={16} stroke={1.6} />} onClick={props.onOpenFile}>
          Open a file…
        </Button>
      </header>
      <table className={`${table.table} ${table.rows}`} aria-label="Environments">
        <thead>
          <tr>
            <th>Name</th>
            <th>State</th>
            <th>Networks</th>
            <th className={table.number}>Disk</th>
            <th className={styles.path}>Path</th>
            <th>
              <span className="hidden-visually">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {prefixes.map((prefix, index) => (
            <Row key={prefix.id} prefix={prefix} focusable={index === 0} />
          ))}
        </tbody>
      </table>
      <p className={styles.dropHint}>Drop an init file anywhere to preview it.</p>
    </div>
  );
}
