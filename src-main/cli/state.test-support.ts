import type { PrefixState, VmState } from '../../src-shared/state.ts';

function vmState(name: string, status: VmState['status']): VmState {
  return {
    name,
    status,
    distro: 'el7',
    memory: 512,
    vcpu: 1,
    ip: '192.168.200.2',
    nics: [{ name: 'eth0', network: 'n0', ip: '192.168.200.2', mac: null }],
    disks: [],
    snapshots: ['one', 'two'],
    metadata: {},
    boot: null,
    ssh: 'unknown',
    startedAt: null,
    crash: null,
    screen: true,
  };
}

/** A sample environment state: two VMs run, one does not. */
export const state: Omit<PrefixState, 'path'> = {
  id: '0123456789abcdef0123456789abcdef',
  name: 'default',
  workdir: null,
  phase: 'ready',
  problem: null,
  initFile: null,
  host: { kind: 'embedded', uri: '', status: 'down', accelerator: 'unknown', uplink: 'none', problem: null },
  vms: [vmState('web-vm0', 'running'), vmState('vm0', 'running'), vmState('db', 'down')],
  networks: [{ name: 'n0', type: 'nat', status: 'down', gateway: '192.168.200.1', management: true, dhcp: null, domain: null }],
  snapshots: [],
  deploy: [],
  events: [],
  forkedFrom: null,
  diskUsage: 0,
  busy: null,
};
