import { expect, it } from 'vitest';
import { NetSpec, VmSpec } from '../../../../src-shared/specs.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { scriptEnvironment } from './script-environment.ts';

const net = (name: string, more: object = {}): NetSpec => NetSpec.parse({ name, ...more });
const vm = (name: string, nics: readonly object[]): VmSpec => VmSpec.parse({ name, mgmt_net: 'front', nics });

it('names the environment, the VM, the script and every address', () => {
  const web = vm('web-1', [{ net: 'front', ip: '192.168.200.2' }, { net: 'back-net', ip: '10.0.0.2' }, { net: 'bridge' }]);
  const prefix = {
    name: 'my shop',
    uuid: 'abc',
    specs: {
      vms: [web, vm('db', [{ net: 'front', ip: '192.168.200.3' }]), vm('bare', [{ net: 'bridge' }])],
      nets: [
        net('front', { gw: '192.168.200.1', management: true }),
        net('back-net', { gw: '10.0.0.1' }),
        net('bridge', { type: 'bridge' }),
      ],
    },
  } as unknown as Prefix;
  expect(scriptEnvironment(prefix, web, 'a b.sh')).toEqual({
    LAGO_PREFIX_NAME: 'my shop',
    LAGO_PREFIX_UUID: 'abc',
    LAGO_VM_NAME: 'web-1',
    LAGO_VM_IP: '192.168.200.2',
    LAGO_GATEWAY: '192.168.200.1',
    LAGO_SCRIPT: 'a b.sh',
    LAGO_IP_web_1: '192.168.200.2',
    LAGO_IP_db: '192.168.200.3',
    LAGO_NET_front: '192.168.200.2',
    LAGO_NET_back_net: '10.0.0.2',
  });
});

it('leaves out variables that would stand for two VMs', () => {
  const [one, two] = [vm('a-b', [{ net: 'front', ip: '192.168.200.2' }]), vm('a_b', [{ net: 'front', ip: '192.168.200.3' }])];
  const prefix = { name: 'p', uuid: 'u', specs: { vms: [one, two], nets: [] } } as unknown as Prefix;
  const names = Object.keys(scriptEnvironment(prefix, one, 's'));
  expect(names.filter((name) => name.startsWith('LAGO_IP_'))).toEqual([]);
});
