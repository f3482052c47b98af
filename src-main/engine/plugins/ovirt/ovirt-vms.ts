import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { Engine, PrefixLocation, VerbCall } from '../contract.ts';
import { ENGINE_TYPE, HOST_TYPES, HOSTING_TYPE } from './vm-types.ts';

export const ENGINE_USER = 'admin@internal';
const DEFAULT_PASSWORD = '123';
const PASSWORD = 'ovirt-engine-password';
/** The provider of VMs that the environment's libvirt runs. */
const OWN_PROVIDER = 'local-libvirt';

interface Common {
  readonly engine: Engine;
  readonly prefix: PrefixLocation;
  /** Password of `admin@internal`. */
  readonly password: string;
  /** Those in which vdsm can be looked at. */
  readonly hosts: readonly VmSpec[];
}

/** An environment whose engine has a VM of its own. */
export interface OwnEngine extends Common {
  readonly kind: 'own';
  readonly vm: VmSpec;
}

/** An environment whose engine is inside one of its hosts, in a VM that the environment does not know. */
export interface HostedEngine extends Common {
  readonly kind: 'hosted';
  readonly on: readonly VmSpec[];
  /** The engine's address, if the init file has one. */
  readonly address: string | null;
}

/** What is worked on. */
export type Environment = OwnEngine | HostedEngine;

/** `vm.missing` in an environment without an engine. */
export async function ovirtEnvironment(call: VerbCall, prefix: PrefixLocation, engine: Engine): Promise<Environment> {
  const { vms } = await call.specs(prefix.path);
  const vm = vms.find((one) => one['vm-type'] === ENGINE_TYPE);
  const hosts = vms.filter((one) => HOST_TYPES.includes(one['vm-type']));
  const password = passwordOf(vm ?? vms.find(({ metadata }) => metadata[PASSWORD] !== undefined));
  const common = { engine, prefix, password, hosts };
  if (vm !== undefined && vm['vm-provider'] === OWN_PROVIDER) return { ...common, kind: 'own', vm };
  const on = hosts.filter((one) => one['vm-type'] === HOSTING_TYPE);
  if (on.length > 0) return { ...common, kind: 'hosted', on, address: vm === undefined ? null : addressOf(vm) };
  // An existing machine, which is connected to like any other VM.
  if (vm !== undefined) return { ...common, kind: 'own', vm };
  throw new EngineError('vm.missing', `The environment ${prefix.name} has no VM of type ${ENGINE_TYPE}.`, {
    hint: `Give its engine "vm-type: ${ENGINE_TYPE}" in the init file, or the hosts that the engine runs in "vm-type: ${HOSTING_TYPE}".`,
  });
}

/** The engine's VM, for what is done by ssh in it. `not-available` when nobody can log in there. */
export function engineVm(environment: Environment, what: string): VmSpec {
  if (environment.kind === 'own') return environment.vm;
  const hosts = environment.on.map(({ name }) => name).join(', ');
  throw new EngineError('not-available', `${what} cannot be run: the engine is hosted, in a VM inside ${hosts}.`, {
    hint: 'Log in to one of these hosts (lago shell), and from there to the engine.',
  });
}

function passwordOf(vm: VmSpec | undefined): string {
  const given = vm?.metadata[PASSWORD];
  return typeof given === 'string' || typeof given === 'number' ? String(given) : DEFAULT_PASSWORD;
}

/** Address of a VM on its management network, null without one. */
export function addressOf(vm: VmSpec): string | null {
  const nic = vm.nics.find(({ net }) => net === vm.mgmt_net) ?? vm.nics.find(({ ip }) => ip !== undefined);
  return nic?.ip ?? null;
}
