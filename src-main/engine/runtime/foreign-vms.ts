import { EngineError, isCancelled } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { VmStatus } from '../../../src-shared/state.ts';
import type { ForeignProvider, ProvidedVm, ProviderCall } from '../plugins/contract.ts';
import type { PluginRegistry } from '../plugins/registry.ts';
import { type Prefix, vmAddress } from '../prefix/prefix.ts';

/** Whether the environment's libvirt runs the VM. False for a VM whose provider is missing. */
export function isHosted(plugins: PluginRegistry, vm: VmSpec): boolean {
  return plugins.find('vm-provider', vm['vm-provider'])?.hosted === true;
}

/** A VM run by something other than libvirt, with its provider plugin. Errors of the plugin become `plugin.failed`, naming it. */
export interface ForeignVm {
  readonly vm: VmSpec;
  state(call: ProviderCall): Promise<VmStatus>;
  start(call: ProviderCall): Promise<void>;
  stop(call: ProviderCall): Promise<void>;
  /** Lets its guest shut down; stops it if its provider cannot do that. */
  shutdown(call: ProviderCall): Promise<void>;
  /** `not-available` when its provider cannot do it. */
  reboot(call: ProviderCall): Promise<void>;
  /** Its ssh address; null when unknown. */
  address(call: ProviderCall): Promise<{ readonly host: string; readonly port: number } | null>;
}

/** `input.invalid` when no plugin provides the VM's provider; the VM must not be a hosted one. */
export function foreignVm(plugins: PluginRegistry, prefix: Prefix, vm: VmSpec): ForeignVm {
  const provider = plugins.need('vm-provider', vm['vm-provider'], `VM ${vm.name}`);
  if (provider.hosted === true) throw new EngineError('internal', `VM ${vm.name} is run by libvirt.`);
  const told: ProvidedVm = {
    name: vm.name,
    spec: vm,
    address: vmAddress(prefix.specs, vm),
    environment: { uuid: prefix.uuid, name: prefix.name, path: prefix.paths.root },
  };
  return {
    vm,
    state: async (call) => {
      const answer = VmStatus.safeParse(await asked(provider, vm, 'say what it is doing', async () => await provider.state(told, call)));
      if (answer.success) return answer.data;
      throw new EngineError('plugin.failed', `The VM provider "${provider.name}" gave VM ${vm.name} an unknown state.`, {
        hint: `It has to be one of: ${VmStatus.options.join(', ')}.`,
      });
    },
    start: async (call) => await asked(provider, vm, 'start it', async () => await provider.start(told, call)),
    stop: async (call) => await asked(provider, vm, 'stop it', async () => await provider.stop(told, call)),
    shutdown: async (call) =>
      await asked(provider, vm, 'shut it down', async () =>
        provider.shutdown === undefined ? await provider.stop(told, call) : await provider.shutdown(told, call),
      ),
    reboot: async (call) => {
      if (provider.reboot === undefined) {
        throw new EngineError('not-available', `VM ${vm.name}: its provider "${provider.name}" cannot reboot it.`, {
          hint: `Stop and start it: "lago stop ${vm.name}", "lago start ${vm.name}".`,
        });
      }
      await asked(provider, vm, 'reboot it', async () => await provider.reboot?.(told, call));
    },
    address: async (call) => {
      const planned = told.address === null ? null : { host: told.address, port: 22 };
      const found =
        provider.address === undefined
          ? planned
          : await asked(provider, vm, 'say its address', async () => await provider.address?.(told, call));
      return found === null || found === undefined ? null : { host: String(found.host), port: Number(found.port ?? 22) };
    },
  };
}

async function asked<T>(provider: ForeignProvider, vm: VmSpec, what: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof EngineError || isCancelled(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new EngineError('plugin.failed', `VM ${vm.name}: its provider "${provider.name}" could not ${what}: ${message}`, {
      cause: error,
      details: { stack: error instanceof Error ? (error.stack ?? '') : '' },
    });
  }
}
