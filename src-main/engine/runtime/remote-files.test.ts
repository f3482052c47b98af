import { expect, test } from 'vitest';
import { VmSpec } from '../../../src-shared/specs.ts';
import { requireSendable } from './remote-files.ts';

function vm(path: string): VmSpec {
  return VmSpec.parse({ name: 'web', disks: [{ name: 'root', dev: 'vda', format: 'qcow2', path }], nics: [] });
}

test('only disks of the environment’s own folder can be sent to another machine', () => {
  expect(() => requireSendable({ vms: [vm('$LAGO_PREFIX_PATH/images/root.qcow2')], nets: [] }, '/e/one', 'big')).not.toThrow();
  expect(() => requireSendable({ vms: [vm('/e/one/images/root.qcow2')], nets: [] }, '/e/one', 'big')).not.toThrow();
  expect(() => requireSendable({ vms: [vm('/srv/root.qcow2')], nets: [] }, '/e/one', 'big')).toThrow(
    'The disk "root" of VM web is the file /srv/root.qcow2, which stays on this machine.',
  );
  expect(() => requireSendable({ vms: [vm('/e/one-more/root.qcow2')], nets: [] }, '/e/one', 'big')).toThrow('stays on this machine');
});
