import { Button } from '@mantine/core';
import { IconAlertTriangle, IconLock, IconPlugConnectedX } from '@tabler/icons-react';
import { type ReactElement, Suspense, useState } from 'react';
import { formatBytes } from '../../src-shared/bytes.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import { DeployView } from '../deploy/deploy-view.tsx';
import { useCall } from '../engine-context.ts';
import { dots, subnetOf } from '../format.ts';
import { isRunning, useOperations, usePrefix, usePrefixes, useRunningOperation, useWorkBeside } from '../live-cache.ts';
import { SnapshotsView } from '../snapshots/snapshots-view.tsx';
import { TaskCard } from '../tasks/task-card.tsx';
import { TaskList } from '../tasks/task-list.tsx';
import { Empty } from '../ui/feedback/empty.tsx';
import { StateMark } from '../ui/feedback/state-mark.tsx';
import { Tip } from '../ui/feedback/tip.tsx';
import { GuardedButton } from '../ui/guarded-button.tsx';
import type { Action } from '../ui/menu/action.ts';
import { ActionMenu } from '../ui/menu/action-menu.tsx';
import { ViewTabs } from '../ui/view-tabs.tsx';
import { useWindow } from '../window-state.ts';
import styles from './environment-page.module.css';
import {
  ArtifactsView,
  ChangeDialog,
  CopyDialog,
  DestroyDialog,
  ExportDialog,
  ForkDialog,
  ForwardDialog,
  PackagesView,
} from './lazy-dialogs.ts';
import { NetworkTable } from './network-table.tsx';
import { RunningWork } from './running-work.tsx';
import { countOf, prefixStatus } from './status.ts';
import { useBlocked, useEnvironmentActions, useVmActions } from './use-environment-actions.tsx';
import { BootNotes } from './vm/boot-notes.tsx';
import type { WantedCopy } from './vm/copy-dialog.tsx';
import { CrashNotes } from './vm/crash-note.tsx';
import { useNumbers } from './vm/use-numbers.ts';
import { VmTable } from './vm/vm-table.tsx';

function ActionButton(props: { readonly action: Action; readonly primary: boolean }): ReactElement {
  const { action } = props;
  return (
    <GuardedButton
      blocked={action.blocked}
      variant={props.primary && action.blocked === undefined ? 'filled' : 'default'}
      leftSection={<action.icon size={16} stroke={1.6} />}
      onClick={action.run}
    >
      {action.label.replace('…', '')}
    </GuardedButton>
  );
}

/** The main facts at a glance, or which other process is working on the environment. */
function Facts(props: { readonly prefix: PrefixState }): ReactElement {
  const { prefix } = props;
  if (prefix.busy !== null) {
    return (
      <StateMark tone="warn" icon={IconLock}>
        Another process works on it: {prefix.busy}
      </StateMark>
    );
  }
  const subnets = prefix.networks.map((network) => subnetOf(network.gateway)).filter((subnet) => subnet !== null);
  return (
    <span className="dim ellipsis">
      {dots(subnets.join(', '), formatBytes(prefix.diskUsage), prefix.host.uplink !== 'none' && 'internet access')}
    </span>
  );
}

function Header(props: { readonly prefix: PrefixState }): ReactElement {
  const { prefix } = props;
  const [destroying, setDestroying] = useState(false);
  const [exporting, setExporting] = useState(false);
  const [forking, setForking] = useState(false);
  const actions = useEnvironmentActions(prefix, {
    onFork: () => setForking(true),
    onExport: () => setExporting(true),
    onDestroy: () => setDestroying(true),
  });
  const running = useRunningOperation(prefix.id);
  const beside = useWorkBeside(prefix.id);
  const shown = running ?? beside;
  const status = prefixStatus(prefix, running);
  const off = prefix.vms.every((vm) => vm.status !== 'running');
  const paused = countOf(prefix, 'paused') > 0;
  // Show whichever of suspend and resume has something to do; if both have, the other one is in the menu.
  const buttons = actions.filter((action) => action.button === true && action.id !== (paused ? 'suspend' : 'resume'));
  return (
    <header className={styles.header}>
      <div className={styles.identity}>
        <Tip label={`Lago prefix at ${prefix.path}`}>
          <h1 className="ellipsis">{prefix.name}</h1>
        </Tip>
        <div className={styles.facts}>
          <StateMark tone={status.tone} icon={status.icon} spin={status.spin === true}>
            {status.word}
          </StateMark>
          {shown === undefined ? <Facts prefix={prefix} /> : <RunningWork operation={shown} />}
        </div>
      </div>
      <div className={styles.actions}>
        {buttons.map((action) => (
          <ActionButton key={action.id} action={action} primary={action.id === (paused ? 'resume' : 'start') && off} />
        ))}
        <ActionMenu label={`More for ${prefix.name}`} actions={actions.filter((action) => !buttons.includes(action))} />
      </div>
      <Suspense fallback={null}>
        {destroying && <DestroyDialog prefix={prefix} onClose={() => setDestroying(false)} />}
        {exporting && <ExportDialog prefix={prefix} onClose={() => setExporting(false)} />}
        {forking && <ForkDialog prefix={prefix} snapshot={null} onClose={() => setForking(false)} />}
      </Suspense>
    </header>
  );
}

function Strip(props: { readonly prefix: PrefixState }): ReactElement | null {
  const { prefix } = props;
  if (prefix.phase === 'broken') {
    return (
      <p className={styles.strip} data-tone="bad" role="status">
        <IconAlertTriangle size={16} stroke={1.8} />
        {prefix.problem ?? 'Its files cannot be read.'} It can be destroyed, which removes what is left of it.
      </p>
    );
  }
  if (prefix.host.status === 'unusable') {
    return (
      <p className={styles.strip} data-tone="warn" role="status">
        <IconPlugConnectedX size={16} stroke={1.8} />
        <span>
          {prefix.host.problem ?? 'Its libvirt does not answer.'} Reconnecting…{' '}
          {prefix.host.kind === 'remote' ? 'Nothing is changed meanwhile.' : 'The VMs may be running: nothing is changed meanwhile.'}
        </span>
      </p>
    );
  }
  const problems = [prefix.host, ...prefix.networks].flatMap(({ problem }) => problem ?? []);
  if (problems.length > 0) {
    return (
      <p className={styles.strip} data-tone="warn" role="status">
        <IconAlertTriangle size={16} stroke={1.8} />
        {problems.join(' ')}
      </p>
    );
  }
  return null;
}

function Body(props: { readonly prefix: PrefixState }): ReactElement {
  const { prefix } = props;
  const { state, dispatch } = useWindow();
  const operations = useOperations();
  const [forwarding, setForwarding] = useState<string | null>(null);
  const [changing, setChanging] = useState<string | null>(null);
  const [copying, setCopying] = useState<WantedCopy | null>(null);
  const vmActions = useVmActions(prefix, {
    onForward: (vm) => setForwarding(vm.name),
    onChange: (vm) => setChanging(vm.name),
    onCopy: setCopying,
  });
  const blocked = useBlocked(prefix);
  const call = useCall();
  const view = state.views[prefix.id] ?? 'vms';
  const own = operations.filter((operation) => operation.prefix === prefix.id);
  const running = own.find(isRunning);
  const changed = prefix.vms.find(({ name }) => name === changing);
  const numbers = useNumbers(prefix.id, view === 'vms' && countOf(prefix, 'running') > 0);
  return (
    <>
      {running !== undefined && prefix.phase === 'creating' && view !== 'activity' && (
        <div className={styles.task}>
          <TaskCard
            key={running.id}
            operation={running}
            open
            onCancel={() =>
              void call(`Could not cancel “${running.label}”`, (client) => client.operation.cancel({ operation: running.id }))
            }
          />
        </div>
      )}
      <Suspense fallback={null}>
        {copying !== null && <CopyDialog prefix={prefix} wanted={copying} onClose={() => setCopying(null)} />}
      </Suspense>
      <ViewTabs
        label={`Views of ${prefix.name}`}
        active={view}
        onChange={(next) => dispatch({ type: 'view', id: prefix.id, view: next })}
        views={[
          { id: 'vms', title: 'VMs', count: prefix.vms.length },
          { id: 'networks', title: 'Networks', count: prefix.networks.length },
          { id: 'snapshots', title: 'Snapshots', count: prefix.snapshots.length },
          { id: 'deploy', title: 'Deploy', count: prefix.deploy.reduce((sum, { scripts }) => sum + scripts.length, 0) },
          { id: 'artifacts', title: 'Artifacts' },
          { id: 'packages', title: 'Packages' },
          { id: 'activity', title: 'Activity' },
        ]}
      />
      <div className={styles.view} role="tabpanel">
        {(view === 'vms' || view === 'activity') && <CrashNotes vms={prefix.vms} />}
        {view === 'vms' && (
          <VmTable
            vms={prefix.vms}
            numbers={numbers}
            actions={vmActions}
            creating={prefix.phase === 'creating'}
            onFiles={(vm, files) =>
              setCopying({ way: 'to', vm, paths: files.map((file) => window.bridge.pathOf(file)).filter((path) => path !== '') })
            }
          />
        )}
        {view === 'vms' && <BootNotes vms={prefix.vms} />}
        {view === 'networks' && <NetworkTable networks={prefix.networks} vms={prefix.vms} />}
        {view === 'snapshots' && <SnapshotsView key={prefix.id} prefix={prefix} blocked={blocked} />}
        {view === 'deploy' && <DeployView key={prefix.id} prefix={prefix} />}
        {view === 'artifacts' && (
          <Suspense fallback={null}>
            <ArtifactsView key={prefix.id} prefix={prefix} />
          </Suspense>
        )}
        {view === 'packages' && (
          <Suspense fallback={null}>
            <PackagesView key={prefix.id} prefix={prefix} />
          </Suspense>
        )}
        {view === 'activity' && <TaskList operations={own} emptyBody={`What is done with ${prefix.name} appears here.`} />}
      </div>
      <Suspense fallback={null}>
        {forwarding !== null && <ForwardDialog prefix={prefix} vm={forwarding} onClose={() => setForwarding(null)} />}
        {changed !== undefined && <ChangeDialog prefix={prefix} vm={changed} onClose={() => setChanging(null)} />}
      </Suspense>
    </>
  );
}

/** One environment: its facts and actions, and its VMs, networks, snapshots, deploy scripts, artifacts, packages and tasks. */
export function EnvironmentPage(props: { readonly id: string }): ReactElement {
  const prefix = usePrefix(props.id);
  const known = usePrefixes() !== undefined;
  const { dispatch } = useWindow();
  if (prefix === undefined) {
    if (!known) return <div aria-busy="true" />;
    return (
      <Empty icon={IconAlertTriangle} title="This environment is gone" body="It was destroyed or removed from the list.">
        <Button onClick={() => dispatch({ type: 'close-tab', key: `environment:${props.id}` })}>Close the tab</Button>
      </Empty>
    );
  }
  return (
    <div className={styles.page}>
      <Header prefix={prefix} />
      <Strip prefix={prefix} />
      <Body prefix={prefix} />
    </div>
  );
}
