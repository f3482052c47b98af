import { posix } from 'node:path';
import { freshAllocator } from '../net/subnets.ts';
import type { PlanContext } from './plan-context.ts';

export const TEST_UUID = 'aaaabbbbccccddddeeeeffff00001111';

/** A context in which every template and file exists. */
export function everythingExists(change: Partial<PlanContext> = {}): PlanContext {
  return {
    initFileDir: '/srv/lago',
    cwd: '/srv/lago',
    env: {},
    prefixPath: '/srv/lago/.lago/default',
    lease: freshAllocator(),
    template: (name, version) => ({
      fullName: `repo:${name}:${version ?? 'v1'}`,
      version: version ?? 'v1',
      distro: 'el7',
      size: 1_048_576,
      cached: false,
      metadata: { distro: 'el7', 'root-partition': '/dev/sda1' },
      downloadSize: null,
      from: 'http://templates.example/',
    }),
    fileInfo: (path) => (posix.isAbsolute(path) ? { kind: 'file', size: 1_048_576 } : undefined),
    text: () => ({ text: '' }),
    trust: { judge: () => 'own' },
    opensImagesItself: true,
    defaults: {
      sshUser: 'root',
      sshPassword: '123456',
      rootPassword: undefined,
      vmType: 'default',
      vmProvider: 'local-libvirt',
      // Real files use the types of oVirt, which add nothing here: the files to compare with were saved without them.
      vmTypes: ['default', 'ovirt-engine', 'ovirt-host', 'ovirt-node', 'ovirt-he-host'].map((name) => ({
        apiVersion: 1,
        kind: 'vm',
        name,
      })),
      vmProviders: [{ name: 'local-libvirt', hosted: true }, { name: 'ssh' }],
      serviceProviders: ['systemd', 'sysvinit', 'systemdcontainer'],
      bootstrap: 'virt-sysprep',
    },
    ...change,
  };
}
