import { EngineError } from '../../../src-shared/errors.ts';
import type { NicSpec, VmSpec } from '../../../src-shared/specs.ts';
import { writeJson } from '../core/json-file.ts';
import type { Step } from '../core/operation.ts';
import { nicMac } from '../libvirt/xml/domain-xml.ts';
import { domainName, vmSpec } from '../prefix/prefix.ts';
import { isHosted } from '../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import { openForChange } from './recover.ts';
import type { LinkRequest } from './set-link-request.ts';

/**
 * Plugs or unplugs the cable of a VM's network card: at once if the VM runs, and for later starts. The definition keeps it. `input.invalid`
 * for a card that the VM does not have.
 */
export async function setLink(context: RecipeContext, root: string, request: LinkRequest, step: Step): Promise<void> {
  await using opened = await openForChange(context, root, 'vm', step);
  const { prefix } = opened;
  requireReady(prefix);
  const vm = vmSpec(prefix, request.vm);
  if (!isHosted(context.plugins, vm)) {
    throw new EngineError('not-available', `${vm.name} is not run by libvirt: it can be started and stopped, nothing else.`);
  }
  const index = nicIndex(vm, request.nic);
  await step.step(`Set link of ${request.nic} of VM ${vm.name} ${request.link}`, async (one) => {
    // The definition first: after a kill in between, repeating it does the rest.
    await writeJson(prefix.paths.vm(vm.name), {
      ...vm,
      nics: vm.nics.map((nic, at) => (at === index ? withLink(nic, request.link) : nic)),
    });
    const session = await context.hosts.find(prefix, one.signal);
    const domain = domainName(prefix.uuid, vm.name);
    const now = await session?.hypervisor.findDomain(domain, { signal: one.signal });
    if (session === undefined || now === undefined || now.id < 0) return;
    const mac = nicMac(prefix.uuid, vm.name, index, vm.nics[index] ?? {});
    await session.hypervisor.setLink(domain, mac, request.link, { live: true }, { signal: one.signal });
  });
}

function nicIndex(vm: VmSpec, nic: string): number {
  const index = vm.nics.findIndex((_, at) => nic === `eth${at}`);
  if (index >= 0) return index;
  const known = vm.nics.map((spec, at) => `eth${at} (${spec.net})`).join(', ');
  throw new EngineError('input.invalid', `VM ${vm.name} has no network card "${nic}".`, {
    hint: vm.nics.length === 0 ? 'It has none.' : `It has: ${known}.`,
  });
}

/** Only what differs from the default is in the definition, which Lago reads too. */
function withLink(nic: NicSpec, link: 'up' | 'down'): NicSpec {
  const { link: _, ...rest } = nic;
  return link === 'down' ? { ...rest, link } : rest;
}
