import { describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../../src-shared/init-file/parse.ts';
import { everythingExists } from '../../plan/plan.test-support.ts';
import { type PlannedEnvironment, planEnvironment } from '../../plan/plan.ts';
import { OVIRT_VM_TYPES } from './vm-types.ts';

function plan(...vms: readonly string[]): PlannedEnvironment {
  const disk = 'disks: [{name: r, type: template, template_name: t, dev: vda}]';
  const domains = vms.map((keys, index) => `  vm${index}: {memory: 256, nics: [{net: n}], ${disk}, ${keys}}\n`);
  const { value } = parseInitFile(`domains:\n${domains.join('')}nets: {n: {}}\n`, '/srv/lago/init.yaml');
  if (value === undefined) throw new Error('The file of this test is wrong.');
  const { defaults } = everythingExists();
  const vmTypes = [{ apiVersion: 1, kind: 'vm', name: 'default' } as const, ...OVIRT_VM_TYPES];
  return planEnvironment(value, everythingExists({ defaults: { ...defaults, vmTypes } }));
}

const problems = ({ issues }: PlannedEnvironment): string[] =>
  issues.filter(({ severity }) => severity !== 'info').map(({ severity, path, message }) => `${severity} ${path}: ${message}`);

describe('the VM types of oVirt', () => {
  it.each([
    ['ovirt-engine', ['/etc/own', '/var/log/ovirt-engine']],
    ['ovirt-host', ['/etc/own', '/var/log/vdsm', '/var/log/sanlock.log', '/var/log/messages']],
    ['ovirt-node', ['/etc/own']],
    [
      'ovirt-he-host',
      [
        '/etc/own',
        '/var/log/vdsm',
        '/var/log/sanlock.log',
        '/var/log/messages',
        '/var/log/ovirt-hosted-engine-setup',
        '/var/log/ovirt-hosted-engine-ha',
      ],
    ],
  ])('%s has its artifacts besides those of the file', (type, artifacts) => {
    const planned = plan(`vm-type: ${type}, artifacts: [/etc/own]`);
    expect(problems(planned)).toEqual([]);
    expect(planned.specs.vms[0]?.artifacts).toEqual(artifacts);
  });

  it('have no /var/log/messages where there is only a journal', () => {
    const planned = plan('vm-type: ovirt-host, distro: fc23', 'vm-type: ovirt-host, distro: fc24');
    expect(planned.specs.vms.map(({ artifacts }) => artifacts?.includes('/var/log/messages'))).toEqual([false, true]);
  });

  it('allow one engine only', () => {
    const planned = plan('vm-type: ovirt-engine', 'vm-type: ovirt-engine', 'vm-type: ovirt-host', 'vm-type: ovirt-host');
    expect(problems(planned)).toEqual(['error domains.vm1: Engine VM already exists: vm0.']);
  });

  it('are picked by ovirt-role as well, whatever the type, with a warning', () => {
    const planned = plan(
      'metadata: {ovirt-role: engine}',
      'metadata: {ovirt-role: host}, vm-type: default',
      'metadata: {ovirt-role: storage}',
    );
    expect(planned.specs.vms.map((vm) => vm['vm-type'])).toEqual(['ovirt-engine', 'ovirt-host', 'default']);
    expect(problems(planned)).toEqual([
      'warning domains.vm0.metadata: ovirt-role is deprecated, and makes this VM one of type ovirt-engine.',
      'warning domains.vm1.metadata: ovirt-role is deprecated, and makes this VM one of type ovirt-host.',
    ]);
    expect(planned.specs.vms[0]).toMatchObject({ artifacts: ['/var/log/ovirt-engine'], metadata: { 'ovirt-role': 'engine' } });
  });
});
