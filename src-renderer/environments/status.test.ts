import { describe, expect, it } from 'vitest';
import type { OperationKind, OperationState } from '../../src-shared/operation.ts';
import type { PrefixState, VmState } from '../../src-shared/state.ts';
import { freshCrashes } from '../shell/crash-notices.ts';
import { blockedBy, prefixStatus, sshStatus } from './status.ts';

function vm(name: string, change: Partial<VmState> = {}): VmState {
  return { name, status: 'running', ssh: 'ready', startedAt: 0, crash: null, boot: null, ...change } as VmState;
}

function prefix(states: readonly VmState['status'][], busy: string | null = null): PrefixState {
  return {
    id: 'p',
    name: 'shop',
    phase: 'ready',
    busy,
    host: { kind: 'embedded', uri: 'qemu:///system', status: 'up', problem: null, accelerator: 'kvm', uplink: 'none' },
    vms: states.map((status, index) => vm(`vm${index}`, { status })),
  } as unknown as PrefixState;
}

describe('the state of an environment', () => {
  const cases: readonly [readonly VmState['status'][], OperationKind | undefined, string | null, string][] = [
    [['running', 'running'], undefined, null, '2 of 2 running'],
    [['running', 'down'], undefined, null, '1 of 2 running'],
    [['down', 'down'], undefined, null, 'off'],
    [['paused', 'down'], undefined, null, 'paused'],
    [['running', 'paused'], undefined, null, '1 of 2 running, 1 paused'],
    [['running', 'paused'], 'suspend', null, 'suspending…'],
    [['running', 'crashed'], undefined, null, '1 of 2 running, 1 crashed'],
    [['crashed', 'crashed'], undefined, null, '0 of 2 running, 2 crashed'],
    [['paused', 'paused'], 'snapshot', null, 'taking a snapshot…'],
    [['paused', 'down'], 'revert', null, 'reverting…'],
    [['down', 'down'], 'start', null, 'starting…'],
    [['running', 'down'], 'stop', null, 'stopping…'],
    [['running', 'running'], 'export', null, '2 of 2 running'],
    [['running', 'running'], 'delete-snapshot', null, '2 of 2 running'],
    [['paused', 'paused'], undefined, 'snapshot (pid 4711, since 12 s)', 'taking a snapshot…'],
    [['down', 'paused'], undefined, 'revert (pid 4711, since 12 s)', 'reverting…'],
    [['running', 'running'], undefined, 'another command (pid 4711, since 12 s)', '2 of 2 running'],
  ];
  it.each(cases)('%j while %s, by another process %s: %s', (states, kind, busy, word) => {
    const operation = kind === undefined ? undefined : ({ kind, prefix: 'p', status: 'running' } as OperationState);
    expect(prefixStatus(prefix(states, busy), operation).word).toBe(word);
  });
});

describe('a host that does not answer', () => {
  it('is being connected to again, whatever its VMs were', () => {
    const up = prefix(['running']);
    const lost: PrefixState = { ...prefix(['unknown']), host: { ...up.host, status: 'unusable', problem: 'libvirt does not answer.' } };
    expect(prefixStatus(lost, undefined)).toMatchObject({ tone: 'warn', word: 'reconnecting…' });
    expect(blockedBy(lost, undefined)).toBe('Waiting for its libvirt to answer again');
    expect(blockedBy(up, undefined)).toBeUndefined();
  });
});

describe('the ssh of a VM', () => {
  it('spins for the first two minutes only', () => {
    const waiting = vm('web', { ssh: 'waiting', startedAt: 1_000 });
    expect(sshStatus(waiting, 42_000)).toMatchObject({ word: 'booting… 41 s', spin: true });
    expect(sshStatus(waiting, 301_000)).toMatchObject({ word: 'booting… 5 m', spin: false });
  });

  it.each([
    [{ ssh: 'ready' }, 'ready'],
    [{ ssh: 'waiting', startedAt: 0 }, 'booting… 5 s'],
    [{ ssh: 'waiting', startedAt: -700_000 }, 'waiting for ssh 11 m'],
    [{ ssh: 'waiting', startedAt: null }, 'waiting for ssh'],
    [{ ssh: 'off' }, 'off'],
  ] as const)('%j is %s', (change, word) => expect(sshStatus(vm('web', change), 5_000).word).toContain(word));
});

describe('notices of crashes', () => {
  const crash = { at: 12, reason: 'Its QEMU process ended without shutting down.', lines: ['last words'], console: [] };
  const crashed: PrefixState = { ...prefix([]), vms: [vm('web', { status: 'crashed', crash }), vm('db')] };

  it('come once for each crash', () => {
    const [first, ...others] = freshCrashes([crashed], new Set());
    expect(others).toEqual([]);
    expect(first).toMatchObject({ title: 'VM web of shop crashed', error: { details: { 'QEMU’s last lines': 'last words' } } });
    expect(freshCrashes([crashed], new Set([first?.key ?? '']))).toEqual([]);
    const again = { ...crashed, vms: [vm('web', { status: 'crashed', crash: { ...crash, at: 99 } })] };
    expect(freshCrashes([again], new Set([first?.key ?? '']))).toHaveLength(1);
  });
});
