import { describe, expect, it } from 'vitest';
import { VmSpec } from '../../../../src-shared/specs.ts';
import type { EngineSettings } from '../../configuration/settings.ts';
import { createFakeHypervisor } from '../../libvirt/hypervisor.fake.ts';
import { createRegistry } from '../../plugins/registry.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { describeDomain } from '../realize.ts';
import type { HostSession } from '../session.ts';
import { processorOf } from './processor.ts';

const MACHINE = '<capabilities><host><cpu><model>Skylake-Server-IBRS</model><vendor>Intel</vendor></cpu></host></capabilities>';
const DOMAINS = `<domainCapabilities><cpu>
  <mode name='host-model'><model>EPYC</model><vendor>AMD</vendor><feature policy='require' name='svm'/></mode>
  <mode name='custom'><model vendor='Intel'>Westmere</model><model vendor='AMD'>Opteron_G5</model></mode></cpu></domainCapabilities>`;

function ask(vm: Record<string, unknown>, accelerator: 'kvm' | 'tcg' | 'none', capabilities = MACHINE): ReturnType<typeof processorOf> {
  const hypervisor = createFakeHypervisor({ capabilities, domainCapabilities: DOMAINS });
  const session = accelerator === 'none' ? undefined : ({ host: { accelerator }, hypervisor } as unknown as HostSession);
  const context = {
    hosts: { find: async () => await Promise.resolve(session) } as never,
    settings: {} as EngineSettings,
    resourcesDir: '',
    plugins: createRegistry([]),
  };
  return processorOf(context, {} as Prefix, VmSpec.parse({ name: 'host', memory: 512, ...vm }));
}

describe('the processor of a VM', () => {
  it.each<[string, Record<string, unknown>, 'kvm' | 'tcg', { model: string; vendor: string | null }]>([
    ['that has the machine’s', {}, 'kvm', { model: 'Skylake-Server-IBRS', vendor: 'Intel' }],
    ['that is emulated', {}, 'tcg', { model: 'EPYC', vendor: 'AMD' }],
    ['that names a model', { cpu_model: 'Westmere' }, 'kvm', { model: 'Westmere', vendor: 'Intel' }],
    ['that writes it out', { cpu_custom: { cpu: { model: { '#text': 'Westmere' } } } }, 'tcg', { model: 'Westmere', vendor: 'Intel' }],
    ['that writes out none', { cpu_custom: { '@mode': 'host-passthrough' } }, 'kvm', { model: 'Skylake-Server-IBRS', vendor: 'Intel' }],
  ])('%s is known', async (_, vm, accelerator, expected) => {
    expect(await ask(vm, accelerator)).toEqual(expected);
  });

  it('is known without its vendor while the environment is down, if the definition names a model', async () => {
    expect(await ask({ cpu_model: 'Westmere' }, 'none')).toEqual({ model: 'Westmere', vendor: null });
  });

  it('is not known without a libvirt that tells it', async () => {
    await expect(ask({ 'vm-provider': 'ssh' }, 'kvm')).rejects.toMatchObject({ code: 'not-available' });
    await expect(ask({}, 'none')).rejects.toMatchObject({ code: 'vm.not-running' });
    await expect(ask({}, 'kvm', '<capabilities/>')).rejects.toMatchObject({
      code: 'not-available',
      message: 'libvirt does not know what model the processor of VM host is.',
    });
  });
});

const env = {
  uuid: 'aaaabbbbccccddddeeeeffff00001111',
  paths: prefixPaths('/env/default'),
  specs: { vms: [], nets: [] },
} as unknown as Prefix;

async function described(cpu_model: string | undefined, accelerator: 'kvm' | 'tcg'): Promise<string> {
  const host = { kind: 'embedded', accelerator, socketDir: '/run/lago' };
  const session = { host, hypervisor: createFakeHypervisor({ domainCapabilities: DOMAINS }) } as unknown as HostSession;
  const vm = VmSpec.parse({ name: 'host', memory: 512, vcpu: 1, ...(cpu_model === undefined ? {} : { cpu_model }) });
  return await describeDomain(session, env, vm, new AbortController().signal);
}

it.each<[string | undefined, 'kvm' | 'tcg', boolean]>([
  ['Opteron_G5', 'kvm', true],
  ['Westmere', 'kvm', false],
  ['Opteron_G5', 'tcg', false],
  [undefined, 'kvm', false],
])('a VM with the model %s on %s runs VMs of its own by a feature: %s', async (model, accelerator, asks) => {
  expect((await described(model, accelerator)).includes("<feature policy='require' name='svm'/>")).toBe(asks);
});
