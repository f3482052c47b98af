import { expect, test } from 'vitest';
import type { PrefixState, VmState } from '../../src-shared/state.ts';
import { blockedBy, prefixStatus, sshStatus } from './status.ts';

const vm: VmState = {
  name: 'web',
  status: 'running',
  distro: null,
  memory: 192,
  vcpu: 1,
  ip: null,
  nics: [],
  disks: [],
  snapshots: [],
  rootPassword: null,
  metadata: {},
  ssh: 'waiting',
  startedAt: 1_000,
  screen: false,
};

const prefix: PrefixState = {
  id: 'a',
  name: 'shop',
  path: '/w/shop',
  workdir: '/w',
  phase: 'ready',
  problem: null,
  initFile: null,
  host: { kind: 'embedded', uri: 'qemu:///system', status: 'up', problem: null, accelerator: 'kvm', uplink: 'none' },
  vms: [vm],
  networks: [],
  snapshots: [],
  diskUsage: 0,
  busy: null,
};

test('a host that does not answer is being connected to again, whatever its VMs were', () => {
  const lost: PrefixState = {
    ...prefix,
    host: { ...prefix.host, status: 'unusable', problem: 'libvirt does not answer.' },
    vms: [{ ...vm, status: 'unknown' }],
  };
  expect(prefixStatus(lost)).toMatchObject({ tone: 'warn', word: 'reconnecting…' });
  expect(blockedBy(lost, undefined)).toBe('Waiting for its libvirt to answer again');
  expect(blockedBy(prefix, undefined)).toBeUndefined();
});

test('what waits for ssh turns for two minutes only', () => {
  expect(sshStatus(vm, 42_000)).toMatchObject({ word: 'waiting for ssh 41 s', spin: true });
  expect(sshStatus(vm, 301_000)).toMatchObject({ word: 'waiting for ssh 5 m', spin: false });
});
