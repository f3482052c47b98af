import {
  IconAlertTriangle,
  IconCircle,
  IconCircleCheckFilled,
  IconCircleFilled,
  IconCircleHalf2,
  IconCircleX,
  IconClockPause,
  IconHelpCircle,
  IconLoader2,
  IconPlayerPause,
  IconPlugConnectedX,
  IconPower,
} from '@tabler/icons-react';
import type { OperationState } from '../../src-shared/operation.ts';
import type { NetworkState, PrefixState, VmState, VmStatus } from '../../src-shared/state.ts';
import { allVerbs } from '../../src-shared/verbs.ts';
import { count, formatUptime } from '../format.ts';
import type { Icon, Tone } from '../ui/feedback/state-mark.tsx';

/** A state ready for `StateMark`. */
export interface StatusView {
  readonly tone: Tone;
  readonly icon: Icon;
  readonly word: string;
  readonly spin?: boolean;
}

const SPINS_MS = 120_000;

/** A VM's status, in Lago's words, and whether another program has interfered. */
export function vmStatus(vm: VmState): StatusView {
  const view = statusView(vm);
  return vm.problem === undefined ? view : { ...view, tone: 'warn', icon: IconAlertTriangle };
}

function statusView(vm: VmState): StatusView {
  switch (vm.status) {
    case 'running':
      return { tone: 'ok', icon: IconCircleFilled, word: 'running' };
    case 'down':
      return { tone: 'off', icon: IconCircle, word: vm.shutDownByGuest === true ? 'down, by its guest' : 'down' };
    case 'shut off':
      return { tone: 'off', icon: IconCircle, word: vm.status };
    case 'paused':
      return { tone: 'warn', icon: IconPlayerPause, word: 'paused' };
    case 'suspended':
      return { tone: 'warn', icon: IconClockPause, word: 'suspended' };
    case 'being shut down':
      return { tone: 'busy', icon: IconPower, word: 'being shut down' };
    case 'crashed':
      return { tone: 'bad', icon: IconCircleX, word: 'crashed' };
    default:
      return { tone: 'warn', icon: IconHelpCircle, word: vm.status };
  }
}

/** Lago's time limit for booting a VM. */
const BOOT_MS = 600_000;

function timed(word: string, waited: number | undefined): string {
  return waited === undefined ? word : `${word} ${formatUptime(waited)}`;
}

/** Whether ssh answers; `now` (ms) determines the waiting time. */
export function sshStatus(vm: VmState, now: number): StatusView {
  switch (vm.ssh) {
    case 'ready':
      return { tone: 'ok', icon: IconCircleCheckFilled, word: 'ready' };
    case 'waiting': {
      if (vm.boot !== null && vm.boot.hang !== null) return { tone: 'warn', icon: IconAlertTriangle, word: vm.boot.hang.word };
      const waited = vm.startedAt === null ? undefined : now - vm.startedAt;
      // A VM with an unknown or long-past start may well be up without ssh.
      const booting = waited !== undefined && waited < BOOT_MS ? 'booting…' : 'waiting for ssh';
      // A guest without ssh waits for ever, and an animation would repaint all that time.
      return { tone: 'busy', icon: IconLoader2, word: timed(booting, waited), spin: (waited ?? 0) < SPINS_MS };
    }
    case 'off':
      return { tone: 'off', icon: IconCircle, word: 'off' };
    default:
      return { tone: 'off', icon: IconHelpCircle, word: 'unknown' };
  }
}

/** Whether a network is up. */
export function networkStatus(network: NetworkState): StatusView {
  if (network.problem !== undefined) return { tone: 'warn', icon: IconAlertTriangle, word: 'no DHCP server' };
  return network.status === 'up' ? { tone: 'ok', icon: IconCircleFilled, word: 'up' } : { tone: 'off', icon: IconCircle, word: 'down' };
}

/** Whether a network of a running environment lacks its DHCP server, which a start brings back. */
export function lacksServer(prefix: PrefixState): boolean {
  return prefix.networks.some(({ problem }) => problem !== undefined);
}

/** Number of its VMs in that state. */
export function countOf(prefix: PrefixState, status: VmStatus): number {
  return prefix.vms.filter((vm) => vm.status === status).length;
}

/** Status text of an environment while a verb is running on it. */
const UNDER_WAY: ReadonlyMap<string, string | undefined> = new Map(allVerbs().map((verb) => [verb.kind, verb.underWay]));

/**
 * Status of a whole environment: `2 of 3 running`, `being created`, `broken`. `operation` is what this engine is doing with it; without
 * one, `busy` tells what another process is doing.
 */
export function prefixStatus(prefix: PrefixState, operation: OperationState | undefined): StatusView {
  switch (prefix.phase) {
    case 'creating':
      return { tone: 'busy', icon: IconLoader2, word: 'being created', spin: true };
    case 'broken':
      return { tone: 'bad', icon: IconAlertTriangle, word: 'broken' };
    case 'cleaned':
      return { tone: 'off', icon: IconCircle, word: 'cleaned up' };
    default:
  }
  if (prefix.host.status === 'unusable') return { tone: 'warn', icon: IconPlugConnectedX, word: 'reconnecting…' };
  // `busy` of another process looks like this: `snapshot (pid 4711, since 12 s)`.
  const kind = operation?.kind ?? prefix.busy?.split(' ')[0];
  const work = kind === undefined ? undefined : UNDER_WAY.get(kind);
  if (work !== undefined) return { tone: 'busy', icon: IconLoader2, word: work, spin: true };
  const [running, paused, crashed] = [countOf(prefix, 'running'), countOf(prefix, 'paused'), countOf(prefix, 'crashed')];
  const word = `${running} of ${prefix.vms.length} running`;
  if (crashed > 0) return { tone: 'bad', icon: IconCircleX, word: `${word}, ${crashed} crashed` };
  if (paused > 0) return { tone: 'warn', icon: IconPlayerPause, word: running === 0 ? 'paused' : `${word}, ${paused} paused` };
  if (running === 0) return { tone: 'off', icon: IconCircle, word: prefix.vms.length === 0 ? 'no VMs' : 'off' };
  if (running < prefix.vms.length) return { tone: 'warn', icon: IconCircleHalf2, word };
  return { tone: 'ok', icon: IconCircleFilled, word };
}

/** Why no writing operation can start in an environment now; undefined when one can. */
export function blockedBy(prefix: PrefixState, running: string | undefined): string | undefined {
  if (running !== undefined) return `“${running}” is under way`;
  if (prefix.phase === 'creating') return 'The environment is being created';
  if (prefix.phase === 'broken') return 'The environment is broken';
  if (prefix.phase === 'cleaned') return 'The environment was cleaned up';
  if (prefix.host.status === 'unusable') return 'Waiting for its libvirt to answer again';
  if (prefix.busy !== null) return `Another process works on it: ${prefix.busy}`;
  return undefined;
}

/** `2 VMs, 1 network`. */
export function sizeOf(prefix: PrefixState): string {
  return `${count(prefix.vms.length, 'VM')}, ${count(prefix.networks.length, 'network')}`;
}
