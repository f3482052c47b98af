import { IconServer } from '@tabler/icons-react';
import { type DragEvent, type KeyboardEvent, type ReactElement, useState } from 'react';
import { waitingStage } from '../../../src-shared/boot.ts';
import type { VmState } from '../../../src-shared/state.ts';
import { formatMemory, formatUptime } from '../../format.ts';
import { Empty } from '../../ui/feedback/empty.tsx';
import { StateMark } from '../../ui/feedback/state-mark.tsx';
import { IconButton, Tip } from '../../ui/feedback/tip.tsx';
import { useUptime } from '../../ui/hooks/use-uptime.ts';
import { type Action, type MenuPlace, menuPlace } from '../../ui/menu/action.ts';
import { ActionMenu, ContextMenu } from '../../ui/menu/action-menu.tsx';
import { rowSibling } from '../../ui/row-sibling.ts';
import table from '../../ui/table.module.css';
import { ACTIONS, type Column, TableHead } from '../../ui/table-head.tsx';
import { sshStatus, vmStatus } from '../status.ts';
import { BootStrip } from './boot-strip.tsx';
import { crashSentence } from './crash-note.tsx';
import { NicAddress } from './nic-address.tsx';
import type { NumbersFeed } from './numbers-feed.ts';
import { CpuUse, MemoryUse } from './vm-numbers.tsx';
import styles from './vm-table.module.css';

/** What there is to tell of a state: time and reason of a crash with QEMU's last lines, or what another program has done. */
function storyOf({ crash, problem }: VmState): string | undefined {
  return crash === null ? problem : [crashSentence(crash, Date.now()), ...crash.lines].join('\n');
}

/** A word with a story in its tooltip. */
function StoryTip(props: { readonly story: string; readonly word: string }): ReactElement {
  return (
    <Tip label={<span className={styles.story}>{props.story}</span>}>
      <button type="button" className={styles.word}>
        {props.word}
      </button>
    </Tip>
  );
}

function Row(props: {
  readonly vm: VmState;
  readonly numbers: NumbersFeed;
  readonly actions: readonly Action[];
  readonly focusable: boolean;
  readonly onFiles: (files: readonly File[]) => void;
}): ReactElement {
  const { vm, actions } = props;
  const [over, setOver] = useState(false);
  const [place, setPlace] = useState<MenuPlace | null>(null);
  const uptime = useUptime(vm.status === 'running' ? vm.startedAt : null);
  const status = vmStatus(vm);
  const story = storyOf(vm);
  const ssh = sshStatus(vm, (vm.startedAt ?? 0) + uptime);
  const terminal = actions.find((action) => action.id === 'terminal');

  function openTerminal(): void {
    if (terminal?.blocked === undefined) terminal?.run();
  }

  const carriesFiles = (event: DragEvent): boolean => vm.status === 'running' && event.dataTransfer.types.includes('Files');
  const drop = {
    onDragOver: (event: DragEvent): void => setOver(carriesFiles(event)),
    onDragLeave: (): void => setOver(false),
    onDrop: (event: DragEvent): void => {
      setOver(false);
      if (!carriesFiles(event)) return;
      event.preventDefault();
      props.onFiles([...event.dataTransfer.files]);
    },
  };

  function onKeyDown(event: KeyboardEvent<HTMLTableRowElement>): void {
    if (event.target !== event.currentTarget) return;
    const sibling = rowSibling(event);
    if (event.key === 'Enter') openTerminal();
    else if (sibling !== undefined) sibling.focus();
    else return;
    event.preventDefault();
  }

  return (
    <tr
      aria-label={vm.name}
      tabIndex={props.focusable ? 0 : -1}
      data-menu={place !== null || over}
      data-takes-files={vm.status === 'running'}
      {...drop}
      onDoubleClick={openTerminal}
      onKeyDown={onKeyDown}
      onContextMenu={(event) => setPlace(menuPlace(event))}
    >
      <td className={styles.name}>
        <span className="mono">{vm.name}</span>
        {vm.distro !== null && <span className={styles.distro}>{vm.distro}</span>}
      </td>
      <td className={styles.state}>
        <StateMark tone={status.tone} icon={status.icon}>
          {story === undefined ? status.word : <StoryTip story={story} word={status.word} />}
          {vm.status === 'running' && vm.startedAt !== null && <span className="faint"> {formatUptime(uptime)}</span>}
        </StateMark>
      </td>
      <td className={styles.ssh}>
        <StateMark tone={ssh.tone} icon={ssh.icon} spin={ssh.spin === true}>
          {ssh.word}
        </StateMark>
        {vm.boot !== null && waitingStage(vm.boot) !== undefined && <BootStrip vm={vm.name} boot={vm.boot} />}
      </td>
      <td>
        <span className={styles.addresses}>
          {vm.nics.length === 0 && <span className="faint">none</span>}
          {vm.nics.map((nic) => (
            <NicAddress key={nic.name} vm={vm.name} nic={nic} />
          ))}
        </span>
      </td>
      <td className={table.number}>
        {formatMemory(vm.memory)}
        {vm.status === 'running' && <MemoryUse vm={vm} numbers={props.numbers} />}
      </td>
      <td className={table.number}>
        {vm.vcpu}
        {vm.status === 'running' && <CpuUse vm={vm} numbers={props.numbers} />}
      </td>
      <td className={table.actions} onDoubleClick={(event) => event.stopPropagation()}>
        <div className={table.actionRow}>
          {actions.slice(0, 4).map((action) => (
            <IconButton
              key={action.id}
              label={`${action.label} ${action.id === 'power' ? '' : 'of '}${vm.name}`}
              tip={action.blocked ?? action.label}
              icon={action.icon}
              disabled={action.blocked !== undefined}
              onClick={action.run}
            />
          ))}
          <ActionMenu label={`More for ${vm.name}`} actions={actions} />
        </div>
        <ContextMenu label={`Actions for ${vm.name}`} place={place} actions={actions} onClose={() => setPlace(null)} />
      </td>
    </tr>
  );
}

const COLUMNS: readonly Column[] = [
  { heading: 'Name', title: 'Lago calls a VM a domain' },
  'State',
  { heading: 'ssh', className: styles.ssh },
  'Addresses',
  { heading: 'Memory', number: true },
  { heading: 'vCPU', number: true },
  ACTIONS,
];

/** The VMs of an environment. Double-click or Enter opens a terminal; the context menu has the kebab menu's actions. */
export function VmTable(props: {
  readonly vms: readonly VmState[];
  /** What they use at the moment. */
  readonly numbers: NumbersFeed;
  readonly actions: (vm: VmState) => readonly Action[];
  readonly creating: boolean;
  /** Files were dropped on a running VM. */
  readonly onFiles: (vm: VmState, files: readonly File[]) => void;
}): ReactElement {
  if (props.vms.length === 0) {
    return <Empty compact icon={IconServer} title={props.creating ? 'The VMs appear here when their disks are created' : 'No VMs'} />;
  }
  return (
    <table className={`${table.table} ${table.rows}`} aria-label="VMs">
      <TableHead columns={COLUMNS} />
      <tbody>
        {props.vms.map((vm, index) => (
          <Row
            key={vm.name}
            vm={vm}
            numbers={props.numbers}
            actions={props.actions(vm)}
            focusable={index === 0}
            onFiles={(files) => props.onFiles(vm, files)}
          />
        ))}
      </tbody>
    </table>
  );
}
