import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import { cpuXml, type HostCpu } from '../../libvirt/xml/cpu.ts';
import { bestProcessor, hostCpuOf, machineProcessor, type Processor, vendorOf } from '../../libvirt/xml/processor.ts';
import type { Prefix } from '../../prefix/prefix.ts';
import { isHosted } from '../foreign-vms.ts';
import type { RecipeContext } from '../recipe.ts';
import type { HostSession } from '../session.ts';

/** The processor that a VM's guest sees. See `Vms.processor`. */
export async function processorOf(context: RecipeContext, prefix: Prefix, vm: VmSpec, signal?: AbortSignal): Promise<Processor> {
  if (!isHosted(context.plugins, vm)) {
    throw new EngineError('not-available', `The processor of VM ${vm.name} is not known: its provider is "${vm['vm-provider']}".`);
  }
  const session = await context.hosts.find(prefix, signal);
  const model = namedModel(vm);
  if (session === undefined) {
    if (model !== undefined) return { model, vendor: null };
    throw new EngineError('vm.not-running', `The processor of VM ${vm.name} is not known while the environment is down.`, {
      hint: 'Start it first: lago start.',
    });
  }
  const { host, hypervisor } = session;
  const virtType = host.accelerator === 'kvm' ? 'kvm' : 'qemu';
  const kindOfVm = async (): Promise<string> => await hypervisor.domainCapabilities({ arch: 'x86_64', virtType }, { signal });
  if (model !== undefined) return { model, vendor: vendorOf(model, await kindOfVm()) };
  const found = host.accelerator === 'kvm' ? machineProcessor(await hypervisor.capabilities({ signal })) : bestProcessor(await kindOfVm());
  if (found === undefined) {
    throw new EngineError('not-available', `libvirt does not know what model the processor of VM ${vm.name} is.`, {
      hint: 'Name one in the init file: cpu_model.',
    });
  }
  return found;
}

/**
 * What the description of a VM needs to know of the machine. Only a model of its own has to be told that its guest may run VMs; the machine's
 * processor and an emulated one can by themselves.
 */
export async function hostCpuFor({ host, hypervisor }: HostSession, vm: VmSpec, signal: AbortSignal): Promise<HostCpu | undefined> {
  if (host.accelerator !== 'kvm' || vm.cpu_model === undefined) return undefined;
  return hostCpuOf(await hypervisor.domainCapabilities({ arch: 'x86_64', virtType: 'kvm' }, { signal }));
}

/** The model that the definition names, by `cpu_model` or in `cpu_custom`. */
function namedModel(vm: VmSpec): string | undefined {
  const elements = cpuXml(vm, { accelerator: 'kvm' }).children.filter((child) => typeof child !== 'string');
  const words = elements.find(({ name }) => name === 'model')?.children.filter((child) => typeof child === 'string') ?? [];
  return words.join('').trim() || undefined;
}
