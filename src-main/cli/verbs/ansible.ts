import { join } from 'node:path';
import type { EnvironmentSpecs, VmSpec } from '../../../src-shared/specs.ts';
import type { VerbContext } from '../context.ts';
import { pythonText } from '../output/plain.ts';
import { listValue } from '../parser/table.ts';

const DEFAULT_KEYS: readonly string[] = ['vm-type', 'groups', 'vm-provider'];

/** The value at a path such as `a/b/0` in a VM's definition; undefined if there is none. */
export function valueAt(definition: unknown, key: string): unknown {
  let value: unknown = definition;
  for (const part of key.split('/').filter((one) => one !== '')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}

function text(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : pythonText(value as string | number | boolean | null);
}

function addressOf(specs: EnvironmentSpecs, vm: VmSpec): string | undefined {
  const management = vm.mgmt_net ?? specs.nets.find((net) => net.management)?.name;
  return (vm.nics.find((nic) => nic.net === management && nic.ip !== undefined) ?? vm.nics.find((nic) => nic.ip !== undefined))?.ip;
}

/** Lago's inventory format: a section `[key=value]` for each key and value, `[group]` for each group of a VM, hosts sorted. */
export function inventory(specs: EnvironmentSpecs, prefix: string, keys: readonly string[]): string {
  const sections = new Map<string, string[]>();
  for (const vm of specs.vms) {
    const entry = `${vm.name} ansible_host=${addressOf(specs, vm) ?? 'N/A'} ansible_ssh_private_key_file=${join(prefix, 'id_rsa')}`;
    const add = (name: string): void => void sections.set(name, [...(sections.get(name) ?? []), entry]);
    for (const key of keys) {
      const value = valueAt(vm, key);
      if (value === undefined || value === null) continue;
      for (const one of Array.isArray(value) ? value : [value]) add(`${key}=${text(one)}`);
    }
    for (const group of vm.groups ?? []) add(group);
  }
  return [...sections].flatMap(([name, hosts]) => [`[${name}]`, ...hosts.sort()]).join('\n');
}

export async function ansibleHosts(context: VerbContext): Promise<number> {
  const prefix = await context.prefix();
  const specs = await context.around.door.readSpecs(prefix.path);
  context.print(inventory(specs, prefix.path, listValue(context.values, 'keys') ?? DEFAULT_KEYS));
  return 0;
}
