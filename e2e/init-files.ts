import type { Scratch } from './scratch.ts';

/** Two VMs of the sample guest on one network with a fixed subnet. */
export function twoVms(scratch: Scratch, name: string): string {
  const vm = (): object => ({
    memory: 192,
    vcpu: 1,
    nics: [{ net: 'front' }],
    disks: [{ name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' }],
  });
  return scratch.write(
    `${name}.json`,
    JSON.stringify(
      {
        nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
        domains: { web: vm(), db: vm() },
      },
      null,
      2,
    ),
  );
}
