import {
  IconAdjustments,
  IconArchive,
  IconCamera,
  IconCopy,
  IconDeviceDesktop,
  IconFileDownload,
  IconFileUpload,
  IconGitFork,
  IconKey,
  IconListDetails,
  IconPackageExport,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  IconPlayerTrackNext,
  IconPower,
  IconReload,
  IconRotateClockwise,
  IconTerminal,
  IconTerminal2,
  IconTrash,
  IconWorldShare,
} from '@tabler/icons-react';
import type { PrefixState, VmState } from '../../src-shared/state.ts';
import type { Verbs } from '../../src-shared/verbs.ts';
import { useCall } from '../engine-context.ts';
import { useRunningOperation, useUnreachable } from '../live-cache.ts';
import { copyText } from '../ui/copy-text.ts';
import type { Action } from '../ui/menu/action.ts';
import { type SessionKind, useWindow } from '../window-state.ts';
import { blockedBy, countOf, lacksServer } from './status.ts';
import type { WantedCopy } from './vm/copy-dialog.tsx';

/** Why writing actions on an environment are blocked now; undefined when they are not. */
export function useBlocked(prefix: PrefixState): string | undefined {
  const running = useRunningOperation(prefix.id);
  return useUnreachable() ?? blockedBy(prefix, running?.label);
}

/** Why an environment cannot be forked at all; undefined when it can. */
function forkBlocked({ host, snapshots }: PrefixState): string | undefined {
  if (host.kind !== 'embedded') return 'Only an environment on its own host can run beside its fork with the same addresses';
  if (snapshots.some(({ kind }) => kind === 'internal')) return 'It has snapshots inside its disks’ files: delete them first';
  return undefined;
}

/** The verbs that work on all VMs or on named ones. */
type VmVerb = { [Name in keyof Verbs['prefix']]: Verbs['prefix'][Name]['takes'] extends 'vms' ? Name : never }[keyof Verbs['prefix']];

/** Starts a verb on the whole environment or on one VM. */
function useVerb(prefix: PrefixState): (verb: VmVerb, vm?: VmState) => () => void {
  const call = useCall();
  return (verb, vm) => () =>
    void call(`Could not ${verb} ${vm?.name ?? prefix.name}`, (client) =>
      client.prefix[verb]({ prefix: prefix.id, ...(vm === undefined ? {} : { vms: [vm.name] }) }),
    );
}

/** How long guests may take to shut down before they are powered off, seconds. */
const STOP_SECONDS = 60;

/** Lets the guests of the whole environment or of one VM shut down. */
function useShutdown(prefix: PrefixState): (vm?: VmState) => () => void {
  const call = useCall();
  return (vm) => () =>
    void call(`Could not stop ${vm?.name ?? prefix.name}`, (client) =>
      client.prefix.shutdown({ prefix: prefix.id, forceAfter: STOP_SECONDS, ...(vm === undefined ? {} : { vms: [vm.name] }) }),
    );
}

/** Open the dialogs that some actions of an environment need. */
export interface EnvironmentDialogs {
  onFork(): void;
  onExport(): void;
  onDestroy(): void;
}

/** The actions of an environment, the same list for its page, its row and its menus. */
export function useEnvironmentActions(prefix: PrefixState, on: EnvironmentDialogs): readonly Action[] {
  const call = useCall();
  const { dispatch } = useWindow();
  const blocked = useBlocked(prefix);
  const unreachable = useUnreachable();
  const busy = useRunningOperation(prefix.id) !== undefined;
  const [running, paused] = [countOf(prefix, 'running'), countOf(prefix, 'paused')];
  const verb = useVerb(prefix);
  const shutdown = useShutdown(prefix);
  const powerOffBlocked = useBlocked({ ...prefix, host: { ...prefix.host, status: 'up' } });
  const nothingUp = running + paused === 0 && prefix.host.status === 'down' ? 'Nothing is running' : undefined;
  const nothingRuns = running + paused === 0 ? 'Nothing is running' : undefined;
  return [
    {
      id: 'start',
      label: 'Start',
      icon: IconPlayerPlay,
      blocked: blocked ?? (running === prefix.vms.length && !lacksServer(prefix) ? 'All VMs are running' : undefined),
      button: true,
      run: verb('start'),
    },
    {
      id: 'stop',
      label: 'Stop',
      icon: IconPlayerStop,
      blocked: blocked ?? nothingUp,
      button: true,
      run: shutdown(),
    },
    {
      id: 'power-off',
      label: 'Power off',
      icon: IconPower,
      // It also ends a host that does not answer.
      blocked: powerOffBlocked ?? nothingUp,
      button: prefix.host.status === 'unusable',
      run: verb('stop'),
    },
    { id: 'reboot', label: 'Reboot', icon: IconReload, blocked: blocked ?? nothingRuns, run: verb('reboot') },
    { id: 'reset', label: 'Reset', icon: IconRotateClockwise, blocked: blocked ?? nothingRuns, run: verb('reset') },
    {
      id: 'suspend',
      label: 'Suspend',
      icon: IconPlayerPause,
      blocked: blocked ?? (running === 0 ? 'Nothing is running' : undefined),
      button: true,
      run: verb('suspend'),
    },
    {
      id: 'resume',
      label: 'Resume',
      icon: IconPlayerTrackNext,
      blocked: blocked ?? (paused === 0 ? 'Nothing is suspended' : undefined),
      button: true,
      run: verb('resume'),
    },
    {
      id: 'snapshot',
      label: 'Snapshot',
      icon: IconCamera,
      blocked,
      button: true,
      run: () => {
        dispatch({ type: 'view', id: prefix.id, view: 'snapshots' });
        dispatch({ type: 'show', page: { kind: 'environment', id: prefix.id } });
      },
    },
    {
      id: 'fork',
      label: 'Fork…',
      icon: IconGitFork,
      blocked: blocked ?? forkBlocked(prefix),
      button: true,
      run: on.onFork,
    },
    {
      id: 'collect',
      label: 'Collect artifacts',
      icon: IconArchive,
      group: true,
      blocked: unreachable,
      run: () => {
        void call(`Could not collect artifacts of ${prefix.name}`, (client) => client.prefix.collect({ prefix: prefix.id }));
        dispatch({ type: 'view', id: prefix.id, view: 'artifacts' });
        dispatch({ type: 'show', page: { kind: 'environment', id: prefix.id } });
      },
    },
    {
      id: 'export',
      label: 'Export…',
      icon: IconPackageExport,
      blocked: blocked ?? (running + paused > 0 ? 'Stop it first: only disks of stopped VMs can be exported' : undefined),
      run: on.onExport,
    },
    { id: 'copy-path', label: 'Copy path', icon: IconCopy, run: () => void copyText(prefix.path) },
    {
      id: 'forget',
      label: 'Remove from the list',
      icon: IconListDetails,
      blocked:
        unreachable ??
        (busy ? 'A task is under way' : running + paused > 0 || prefix.host.status === 'unusable' ? 'Stop it first' : undefined),
      run: () => void call(`Could not remove ${prefix.name} from the list`, (client) => client.prefix.forget({ prefix: prefix.id })),
    },
    {
      id: 'destroy',
      label: 'Destroy…',
      icon: IconTrash,
      danger: true,
      group: true,
      blocked: unreachable ?? (busy ? 'A task is under way' : undefined),
      run: on.onDestroy,
    },
  ];
}

/** Open the dialogs that some actions of a VM need. */
export interface VmDialogs {
  onForward(vm: VmState): void;
  onChange(vm: VmState): void;
  onCopy(wanted: WantedCopy): void;
}

/** The actions of one VM, the same list for its row's buttons, kebab menu and context menu. */
export function useVmActions(prefix: PrefixState, on: VmDialogs): (vm: VmState) => readonly Action[] {
  const unreachable = useUnreachable();
  const call = useCall();
  const { dispatch } = useWindow();
  const blocked = useBlocked(prefix);
  const verb = useVerb(prefix);
  const shutdown = useShutdown(prefix);

  async function copyPassword(vm: string): Promise<void> {
    const answer = await call(`Could not read root’s password of ${vm}`, (client) => client.vm.rootPassword({ prefix: prefix.id, vm }));
    if (answer?.password !== undefined && answer.password !== null) await copyText(String(answer.password));
  }

  async function copySshCommand(vm: string): Promise<void> {
    const answer = await call(`Could not make the ssh command of ${vm}`, (client) => client.vm.sshCommand({ prefix: prefix.id, vm }));
    if (answer !== undefined) await copyText(answer.command);
  }

  return (vm) => {
    const running = vm.status === 'running';
    const paused = vm.status === 'paused';
    const off = running ? undefined : `${vm.name} is not running`;
    const inactive = running || paused ? undefined : `${vm.name} is off`;
    function session(kind: SessionKind): () => void {
      return () => dispatch({ type: 'open-session', prefix: prefix.id, vm: vm.name, kind });
    }
    const address = vm.ip;
    return [
      { id: 'terminal', label: 'Terminal', icon: IconTerminal2, blocked: off, run: session('ssh') },
      { id: 'serial', label: 'Serial console', icon: IconTerminal, blocked: off, run: session('serial') },
      {
        id: 'screen',
        label: 'Screen',
        icon: IconDeviceDesktop,
        blocked: off ?? (vm.screen ? undefined : `${vm.name} has no screen`),
        run: session('screen'),
      },
      running || paused
        ? { id: 'power', label: 'Stop', icon: IconPlayerStop, group: true, blocked, run: shutdown(vm) }
        : { id: 'power', label: 'Start', icon: IconPlayerPlay, group: true, blocked, run: verb('start', vm) },
      paused
        ? { id: 'resume', label: 'Resume', icon: IconPlayerTrackNext, blocked, run: verb('resume', vm) }
        : { id: 'suspend', label: 'Suspend', icon: IconPlayerPause, blocked: blocked ?? off, run: verb('suspend', vm) },
      { id: 'reboot', label: 'Reboot', icon: IconReload, blocked: blocked ?? inactive, run: verb('reboot', vm) },
      { id: 'reset', label: 'Reset', icon: IconRotateClockwise, blocked: blocked ?? inactive, run: verb('reset', vm) },
      { id: 'power-off', label: 'Power off', icon: IconPower, blocked: blocked ?? inactive, run: verb('stop', vm) },
      { id: 'change', label: 'Change…', icon: IconAdjustments, group: true, run: () => on.onChange(vm) },
      { id: 'forward', label: 'Forward port…', icon: IconWorldShare, group: true, run: () => on.onForward(vm) },
      { id: 'copy-ssh', label: 'Copy ssh command', icon: IconCopy, run: () => void copySshCommand(vm.name) },
      {
        id: 'copy-to',
        label: 'Copy files to VM…',
        icon: IconFileUpload,
        group: true,
        blocked: unreachable ?? off,
        run: () => on.onCopy({ way: 'to', vm, paths: [] }),
      },
      {
        id: 'copy-from',
        label: 'Save file from VM…',
        icon: IconFileDownload,
        blocked: unreachable ?? off,
        run: () => on.onCopy({ way: 'from', vm }),
      },
      { id: 'copy-name', label: 'Copy name', icon: IconCopy, group: true, run: () => void copyText(vm.name) },
      ...(address === null ? [] : [{ id: 'copy-address', label: 'Copy address', icon: IconCopy, run: () => void copyText(address) }]),
      { id: 'copy-password', label: 'Copy root password', icon: IconKey, run: () => void copyPassword(vm.name) },
    ];
  };
}
