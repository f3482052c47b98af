import {
  IconBan,
  IconCircleCheckFilled,
  IconCircleDashed,
  IconCircleX,
  IconClockX,
  IconLoader2,
  IconPlugConnectedX,
} from '@tabler/icons-react';
import type { ScriptRun, VmDeploy } from '../../src-shared/deploy.ts';
import type { PrefixState } from '../../src-shared/state.ts';
import type { StatusView } from '../environments/status.ts';

/** State of a script, ready for `StateMark`. */
export function scriptStatus({ state, code }: ScriptRun): StatusView {
  switch (state) {
    case 'pending':
      return { tone: 'off', icon: IconCircleDashed, word: 'not run' };
    case 'running':
      return { tone: 'busy', icon: IconLoader2, word: 'running', spin: true };
    case 'ok':
      return { tone: 'ok', icon: IconCircleCheckFilled, word: 'succeeded' };
    case 'failed':
      return { tone: 'bad', icon: IconCircleX, word: code === null ? 'failed' : `failed with status ${code}` };
    case 'timed-out':
      return { tone: 'bad', icon: IconClockX, word: 'took too long' };
    case 'cancelled':
      return { tone: 'warn', icon: IconBan, word: 'cancelled' };
    case 'lost':
      return { tone: 'bad', icon: IconPlugConnectedX, word: 'VM lost' };
    case 'interrupted':
      return { tone: 'warn', icon: IconPlugConnectedX, word: 'interrupted' };
  }
}

/** Whether scripts run now, in whichever process. */
export function isDeploying(deploy: readonly VmDeploy[]): boolean {
  return deploy.some(({ scripts }) => scripts.some(({ state }) => state === 'running'));
}

/** Whether a deploy has begun and not all of its scripts have succeeded. */
export function isUnfinished(deploy: readonly VmDeploy[]): boolean {
  const states = deploy.flatMap(({ scripts }) => scripts.map(({ state }) => state));
  return states.some((state) => state !== 'pending') && states.some((state) => state !== 'ok');
}

/** Why no script can be run in these VMs now; undefined when one can. */
export function deployBlocked(prefix: PrefixState, vms: readonly string[]): string | undefined {
  if (prefix.phase !== 'ready') return 'The environment is not ready';
  if (prefix.host.status === 'unusable') return 'Waiting for its libvirt to answer again';
  if (isDeploying(prefix.deploy)) return 'A deploy is under way';
  const off = prefix.vms.filter((vm) => vms.includes(vm.name) && vm.status !== 'running').map((vm) => vm.name);
  if (off.length === 0) return undefined;
  return off.length === 1 ? `${off[0]} is not running` : `${off.join(', ')} are not running`;
}

/** VMs that have not finished. */
export function unfinishedVms(deploy: readonly VmDeploy[]): readonly string[] {
  return deploy.filter(({ scripts }) => scripts.some(({ state }) => state !== 'ok')).map(({ vm }) => vm);
}

/** Which script to look at first: one that runs, else one that went wrong, else the first. */
export function mostInteresting(deploy: readonly VmDeploy[]): { readonly vm: string; readonly index: number } | undefined {
  const all = deploy.flatMap(({ vm, scripts }) => scripts.map((script, index) => ({ vm, index, state: script.state })));
  return all.find(({ state }) => state === 'running') ?? all.find(({ state }) => state !== 'ok' && state !== 'pending') ?? all[0];
}
