import { expect, it } from 'vitest';
import { VmSpec } from '../../../src-shared/specs.ts';
import { createFakeHypervisor } from '../libvirt/hypervisor.fake.ts';
import { prefixPaths } from '../prefix/layout.ts';
import type { Prefix } from '../prefix/prefix.ts';
import { describeDomain } from './realize.ts';
import type { HostSession } from './session.ts';

const CAPABILITIES = `<domainCapabilities><cpu>
  <mode name='host-model'><model>Skylake-Server</model><vendor>Intel</vendor><feature policy='require' name='vmx'/></mode>
  <mode name='custom'><model vendor='Intel'>Westmere</model><model vendor='AMD'>EPYC</model></mode></cpu></domainCapabilities>`;

const prefix = {
  uuid: 'aaaabbbbccccddddeeeeffff00001111',
  paths: prefixPaths('/env/default'),
  specs: { vms: [], nets: [] },
} as unknown as Prefix;

async function described(cpu_model: string | undefined, accelerator: 'kvm' | 'tcg'): Promise<string> {
  const host = { kind: 'embedded', accelerator, socketDir: '/run/lago' };
  const session = { host, hypervisor: createFakeHypervisor({ domainCapabilities: CAPABILITIES }) } as unknown as HostSession;
  const vm = VmSpec.parse({ name: 'host', memory: 512, vcpu: 1, ...(cpu_model === undefined ? {} : { cpu_model }) });
  return await describeDomain(session, prefix, vm, new AbortController().signal);
}

it.each<[string | undefined, 'kvm' | 'tcg', boolean]>([
  ['Westmere', 'kvm', true],
  ['EPYC', 'kvm', false],
  ['Westmere', 'tcg', false],
  [undefined, 'kvm', false],
])('a VM with the model %s on %s runs VMs of its own by a feature: %s', async (model, accelerator, asks) => {
  expect((await described(model, accelerator)).includes("<feature policy='require' name='vmx'/>")).toBe(asks);
});
