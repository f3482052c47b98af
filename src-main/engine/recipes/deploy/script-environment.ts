import type { NetSpec, VmSpec } from '../../../../src-shared/specs.ts';
import { type Prefix, vmAddress } from '../../prefix/prefix.ts';

/**
 * The variables that a deploy script gets, as `docs/deploy.md` lists them. Those without a value are absent, and so are `LAGO_IP_…` and
 * `LAGO_NET_…` of names that differ only in characters that variables cannot have.
 */
export function scriptEnvironment(prefix: Prefix, vm: VmSpec, script: string): Record<string, string> {
  const { specs } = prefix;
  const values: [string, string | null | undefined][] = [
    ['LAGO_PREFIX_NAME', prefix.name],
    ['LAGO_PREFIX_UUID', prefix.uuid],
    ['LAGO_VM_NAME', vm.name],
    ['LAGO_VM_IP', vmAddress(specs, vm)],
    ['LAGO_GATEWAY', managementNet(specs.nets, vm)?.gw],
    ['LAGO_SCRIPT', script],
    ...unique('LAGO_IP_', specs.vms, (other) => vmAddress(specs, other)),
    ...unique('LAGO_NET_', specs.nets, (net) => vm.nics.find((nic) => nic.net === net.name)?.ip),
  ];
  return Object.fromEntries(values.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function managementNet(nets: readonly NetSpec[], vm: VmSpec): NetSpec | undefined {
  return nets.find((net) => (vm.mgmt_net === undefined ? net.management : net.name === vm.mgmt_net));
}

/** `web-1` → `LAGO_IP_web_1`. A variable that would stand for two things says nothing. */
function unique<T extends { readonly name: string }>(
  start: string,
  things: readonly T[],
  valueOf: (thing: T) => string | null | undefined,
): [string, string | null | undefined][] {
  const nameOf = (thing: T): string => start + thing.name.replace(/\W/g, '_');
  const names = things.map(nameOf);
  return things
    .filter((_, index) => names.indexOf(names[index] ?? '') === names.lastIndexOf(names[index] ?? ''))
    .map((thing) => [nameOf(thing), valueOf(thing)]);
}
