import { describe, expect, it } from 'vitest';
import { parseInitFile } from '../../../src-shared/init-file/parse.ts';
import type { VmTypePlugin } from '../plugins/contract.ts';
import { everythingExists } from './plan.test-support.ts';
import { type PlannedEnvironment, planEnvironment } from './plan.ts';
import type { PlanDefaults } from './plan-context.ts';

function plan(keys: string, types: readonly VmTypePlugin[], change: Partial<PlanDefaults> = {}): PlannedEnvironment {
  const text = `domains:\n  a: {${keys}, nics: [{net: n}], disks: [{type: empty, name: r, dev: vda, size: 1G}]}\nnets: {n: {}}\n`;
  const { value } = parseInitFile(text, '/srv/lago/init.yaml');
  if (value === undefined) throw new Error('The file of this test is wrong.');
  const { defaults } = everythingExists();
  const vmTypes = [...defaults.vmTypes, ...types];
  return planEnvironment(value, everythingExists({ defaults: { ...defaults, vmTypes, ...change } }));
}

const type = (more: Partial<VmTypePlugin>): VmTypePlugin => ({ apiVersion: 1, kind: 'vm', name: 'web', ...more });
const errors = (planned: PlannedEnvironment): string[] =>
  planned.issues.filter(({ severity }) => severity === 'error').map(({ path, message }) => `${path}: ${message}`);

describe('a VM type', () => {
  it('adds artifacts and metadata to what the file says, and changes the spec', () => {
    const planned = plan('vm-type: web, memory: 256, artifacts: [/var/log], metadata: {role: own}', [
      type({
        artifacts: ['/etc/nginx', '/var/log'],
        metadata: { role: 'web', port: 80 },
        extend: (spec) => ({ memory: spec.memory * 2, groups: ['web'], extra: { of: 'the plugin' } }),
      }),
    ]);
    expect(errors(planned)).toEqual([]);
    expect(planned.specs.vms[0]).toMatchObject({
      'vm-type': 'web',
      memory: 512,
      groups: ['web'],
      artifacts: ['/var/log', '/etc/nginx'],
      metadata: { role: 'own', port: 80 },
      extra: { of: 'the plugin' },
    });
    expect(planned.plan.vms['a']?.memory).toBe(512);
  });

  it('is called for its own VMs only', () => {
    const planned = plan('memory: 256', [type({ extend: () => ({ memory: 1 }) })]);
    expect(planned.specs.vms[0]?.memory).toBe(256);
  });

  it('may be the configured default', () => {
    const planned = plan('memory: 256', [type({ extend: () => ({ memory: 128 }) })], { vmType: 'web' });
    expect(planned.specs.vms[0]).toMatchObject({ memory: 128, 'vm-type': 'web' });
  });

  it.each<readonly [string, VmTypePlugin['extend'], string]>([
    [
      'throws',
      () => {
        throw new Error('no idea');
      },
      'VM type web failed: no idea',
    ],
    ['answers no mapping', () => [] as never, 'VM type web failed: extend has to return a mapping of the keys to set.'],
    ['changes what is decided', () => ({ disks: [] }), 'VM type web may not change disks.'],
    [
      'gives a wrong value',
      () => ({ groups: 'one' }),
      'VM type web gives groups a wrong value: Invalid input: expected array, received string',
    ],
  ])('that %s is an error at its VM', (_, extend, message) => {
    const planned = plan('vm-type: web, memory: 256', [type(extend === undefined ? {} : { extend })]);
    expect(errors(planned)).toEqual([`domains.a: ${message}`]);
  });

  it('cannot change the plan through the spec it is given', () => {
    const planned = plan('vm-type: web, memory: 256', [
      type({
        extend(spec) {
          spec.nics.length = 0;
          return {};
        },
      }),
    ]);
    expect(planned.specs.vms[0]?.nics).toHaveLength(1);
  });
});

describe('a VM type that adopts and reviews', () => {
  const strict = type({
    adopts: (metadata) => (metadata['role'] === 'web' ? { message: 'role is old.', hint: 'Write vm-type: web.' } : undefined),
    review: (specs) => specs.map(({ name }) => ({ vm: name, message: `There are ${specs.length} of these.` })),
  });

  it('decides over the type in the file, and sees its own VMs only', () => {
    const planned = plan('memory: 256, vm-type: default, metadata: {role: web}', [strict]);
    expect(planned.specs.vms[0]?.['vm-type']).toBe('web');
    expect(planned.issues).toContainEqual(
      expect.objectContaining({ severity: 'warning', path: 'domains.a.metadata', message: 'role is old.', hint: 'Write vm-type: web.' }),
    );
    expect(errors(planned)).toEqual(['domains.a: There are 1 of these.']);
    expect(errors(plan('memory: 256', [strict]))).toEqual([]);
  });

  it('that throws is an error', () => {
    const fails = (): never => {
      throw new Error('no idea');
    };
    expect(errors(plan('memory: 256, metadata: {}', [type({ adopts: fails })]))).toEqual(['domains.a: VM type web failed: no idea']);
    expect(errors(plan('memory: 256, vm-type: web', [type({ review: fails })]))).toEqual(['domains: VM type web failed: no idea']);
  });
});

describe('an unknown name', () => {
  it('as the configured default is an error at each VM that uses it', () => {
    expect(errors(plan('memory: 256', [], { vmType: 'webb', vmProvider: 'cloud' }))).toEqual([
      'domains.a: Unknown VM type: webb, which is default_vm_type of the configuration.',
      'domains.a: Unknown VM provider: cloud, which is default_vm_provider of the configuration.',
    ]);
  });

  it('as service provider is a warning: it is needed late, and perhaps elsewhere', () => {
    const { issues } = plan('memory: 256, service_provider: sysvinti', []);
    expect(issues.filter(({ path }) => path.endsWith('service_provider'))).toMatchObject([
      { severity: 'warning', message: 'Unknown service provider: sysvinti.', hint: expect.stringContaining('Did you mean sysvinit?') },
    ]);
  });
});
