import type { VmSpec } from '../../../../src-shared/specs.ts';
import { PLUGIN_API_VERSION, type VmTypePlugin } from '../contract.ts';

/** The type of which there is one in an environment. */
export const ENGINE_TYPE = 'ovirt-engine';
/** The type of hosts that the engine itself runs in. */
export const HOSTING_TYPE = 'ovirt-he-host';
/** The types of hosts in which vdsm can be looked at. */
export const HOST_TYPES: readonly string[] = ['ovirt-host', HOSTING_TYPE];

/** Distributions whose system log is only in the journal. */
const JOURNAL_ONLY: readonly string[] = ['fc22', 'fc23'];

/** The old key that named a type: `ovirt-role: engine`. */
const ROLE = 'ovirt-role';

/** What a host of oVirt keeps of its work; the system's log only where there is one. */
function hostArtifacts(spec: Readonly<VmSpec>): readonly string[] {
  const own = ['/var/log/vdsm', '/var/log/sanlock.log'];
  return JOURNAL_ONLY.includes(distroOf(spec) ?? '') ? own : [...own, '/var/log/messages'];
}

/** The distribution of a VM: as its definition says, else its first disk's template. */
export function distroOf(spec: Readonly<VmSpec>): string | undefined {
  const found = spec.distro ?? spec.disks[0]?.metadata['distro'];
  return typeof found === 'string' ? found : undefined;
}

function withArtifacts(artifacts: (spec: Readonly<VmSpec>) => readonly string[]): Required<Pick<VmTypePlugin, 'extend'>>['extend'] {
  return (spec) => ({ artifacts: [...new Set([...(spec.artifacts ?? []), ...artifacts(spec)])] });
}

function vmType(name: string, more: Partial<VmTypePlugin> = {}): VmTypePlugin {
  const role = name.replace('ovirt-', '');
  return {
    apiVersion: PLUGIN_API_VERSION,
    kind: 'vm',
    name,
    adopts: (metadata) =>
      metadata[ROLE] === role
        ? { message: `${ROLE} is deprecated, and makes this VM one of type ${name}.`, hint: `Write vm-type: ${name} in its place.` }
        : undefined,
    ...more,
  };
}

/** The types that init files can name by `vm-type`. */
export const OVIRT_VM_TYPES: readonly VmTypePlugin[] = [
  vmType(ENGINE_TYPE, {
    extend: withArtifacts(() => ['/var/log/ovirt-engine']),
    review: ([first, ...others]) =>
      others.map(({ name }) => ({
        vm: name,
        message: `Engine VM already exists: ${first?.name ?? ''}.`,
        hint: 'An environment has one VM of this type.',
      })),
  }),
  vmType('ovirt-host', { extend: withArtifacts(hostArtifacts) }),
  // A node's image lets nobody in by ssh, so that nothing can be fetched from it.
  vmType('ovirt-node'),
  vmType(HOSTING_TYPE, {
    extend: withArtifacts((spec) => [...hostArtifacts(spec), '/var/log/ovirt-hosted-engine-setup', '/var/log/ovirt-hosted-engine-ha']),
  }),
];

/** Their names. */
export const OVIRT_TYPES: readonly string[] = OVIRT_VM_TYPES.map(({ name }) => name);
