import type { Scratch } from './scratch.ts';

/** One VM of the sample guest. */
export function oneVm(scratch: Scratch, name: string): string {
  const disk = { name: 'root', dev: 'vda', format: 'qcow2', type: 'template', template_name: 'lago-sample' };
  return scratch.write(
    `${name}.json`,
    JSON.stringify({
      nets: { front: { type: 'nat', management: true, gw: '192.168.200.1', dhcp: { start: 100, end: 200 } } },
      domains: { web: { memory: 192, vcpu: 1, nics: [{ net: 'front' }], disks: [disk] } },
    }),
  );
}

/** One VM with an empty disk and nothing to boot: quick to create. */
export function emptyVm(scratch: Scratch): string {
  const disk = { name: 'root', dev: 'vda', format: 'qcow2', type: 'empty', size: '64M' };
  return scratch.write(
    'empty.json',
    JSON.stringify({
      nets: { n: { type: 'nat', management: true, dhcp: { start: 100, end: 200 } } },
      domains: { silent: { memory: 64, vcpu: 1, nics: [{ net: 'n' }], disks: [disk] } },
    }),
  );
}

/** Two VMs of the sample guest on one network with a fixed subnet. */
export function twoVms(scratch: Scratch, name: string, more: object = {}): string {
  const vm = (): object => ({
    ...more,
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

/** Two VMs from which the same paths are collected. */
export function withArtifacts(scratch: Scratch, name: string, artifacts: readonly string[]): string {
  return twoVms(scratch, name, { artifacts });
}

/** Three VMs on a NAT network, two of them also on a bridge without addresses; YAML with an anchor. */
export function threeVmsWithBridge(scratch: Scratch, name: string): string {
  return scratch.write(
    `${name}.yaml`,
    `# one template for all
root: &root
  name: root
  dev: vda
  format: qcow2
  type: template
  template_name: lago-sample
domains:
  one: {memory: 192, vcpu: 1, nics: [{net: front}, {net: back}], disks: [*root]}
  two: {memory: 192, vcpu: 1, nics: [{net: front}, {net: back}], disks: [*root]}
  three: {memory: "192", vcpu: 1, nics: [{net: front}], disks: [*root]}
nets:
  front: {type: nat, management: yes, dhcp: {start: 100, end: 254}}
  back: {type: bridge}
`,
  );
}
