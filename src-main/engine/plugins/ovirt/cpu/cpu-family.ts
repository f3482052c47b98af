import { EngineError } from '../../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../../src-shared/specs.ts';
import type { Engine, PrefixLocation, VerbCall } from '../../contract.ts';
import { ENGINE_TYPE, OVIRT_TYPES } from '../vm-types.ts';
import { builtInFamily, familyIn, type OvirtVersion } from './cpu-families.ts';
import { ownMap } from './cpu-map.ts';

/** The version whose names are given when nobody says which engine it is for: those of later Lago. */
const DEFAULT_VERSION: OvirtVersion = { major: 4, minor: 0 };

export interface FamilyQuestion {
  readonly engine: Engine;
  readonly prefix: PrefixLocation;
  /** Default: the last host of the environment, else its engine. */
  readonly vm?: string | undefined;
  readonly version?: OvirtVersion | undefined;
  readonly signal: AbortSignal;
}

/** oVirt's name for the processor of a host: the CPU type of its cluster. */
export async function cpuFamily(call: VerbCall, { engine, prefix, vm, version, signal }: FamilyQuestion): Promise<string> {
  const asked = askedVm((await call.specs(prefix.path)).vms, vm);
  const processor = await engine.vm.processor(prefix.path, asked.name, signal);
  const map = await ownMap(call, asked);
  return map === undefined ? builtInFamily(processor, version ?? DEFAULT_VERSION) : familyIn(map, processor);
}

function askedVm(vms: readonly VmSpec[], name: string | undefined): VmSpec {
  if (name !== undefined) {
    const found = vms.find((vm) => vm.name === name);
    if (found !== undefined) return found;
    throw new EngineError('vm.missing', `The environment has no VM ${name}.`);
  }
  const host = vms.findLast((vm) => OVIRT_TYPES.includes(vm['vm-type']) && vm['vm-type'] !== ENGINE_TYPE);
  const found = host ?? vms.find((vm) => vm['vm-type'] === ENGINE_TYPE);
  if (found !== undefined) return found;
  throw new EngineError('vm.missing', 'No Engine or Host VMs found.', { hint: 'Name a VM: lago ovirt cpu-family VM.' });
}

/** `4.4`, `4`. */
export function parseVersion(text: string): OvirtVersion | undefined {
  const found = /^(\d+)(?:\.(\d+))?/.exec(text);
  return found === null ? undefined : { major: Number(found[1]), minor: Number(found[2] ?? 0) };
}
