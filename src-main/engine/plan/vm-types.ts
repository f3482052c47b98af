import { nearest } from '../../../src-shared/nearest.ts';
import { VmSpec } from '../../../src-shared/specs.ts';
import type { VmTypePlugin } from '../plugins/contract.ts';
import type { IssueList, PlanContext } from './plan-context.ts';

/** Keys that planning has fixed before a VM type is called, and that other parts of the plan depend on. */
const DECIDED: readonly string[] = ['name', 'nics', 'disks', 'snapshots', 'mgmt_net', 'vm-type', 'vm-provider'];

/** Unknown names of a VM's type or provider are errors, at the key or, for the configured default, at the VM. */
export function checkKinds(
  name: string,
  domain: { readonly 'vm-type'?: string | undefined; readonly 'vm-provider'?: string | undefined; readonly service_provider?: unknown },
  context: PlanContext,
  issues: IssueList,
): void {
  const { defaults } = context;
  for (const [key, plugins, what, fallback, setting] of [
    ['vm-type', defaults.vmTypes, 'VM type', defaults.vmType, 'default_vm_type'],
    ['vm-provider', defaults.vmProviders, 'VM provider', defaults.vmProvider, 'default_vm_provider'],
  ] as const) {
    const known = plugins.map((plugin) => plugin.name);
    const own = domain[key];
    if (known.includes(own ?? fallback)) continue;
    const hint = hintFor(own ?? fallback, known);
    if (own !== undefined) issues.error(['domains', name, key], `Unknown ${what}: ${own}.`, hint);
    else issues.error(['domains', name], `Unknown ${what}: ${fallback}, which is ${setting} of the configuration.`, hint);
  }
  const { service_provider: service } = domain;
  if (typeof service !== 'string' || defaults.serviceProviders.includes(service)) return;
  // It is only needed for service commands, and Lago on another machine may have it.
  const path = ['domains', name, 'service_provider'];
  issues.warning(path, `Unknown service provider: ${service}.`, hintFor(service, defaults.serviceProviders));
}

function hintFor(wanted: string, known: readonly string[]): string {
  const meant = nearest(wanted, known);
  const available = `Available: ${known.join(', ')}.`;
  return meant === undefined ? available : `Did you mean ${meant}? ${available}`;
}

/** The name of a VM's type: that of the first type that adopts it, with a warning, else what the file or the configuration says. */
export function vmTypeOf(
  name: string,
  domain: { readonly 'vm-type'?: string | undefined; readonly metadata?: Readonly<Record<string, unknown>> | undefined },
  { defaults }: PlanContext,
  issues: IssueList,
): string {
  for (const type of defaults.vmTypes) {
    try {
      const advice = type.adopts?.(structuredClone(domain.metadata ?? {}));
      if (advice === undefined) continue;
      issues.warning(['domains', name, 'metadata'], advice.message, advice.hint);
      return type.name;
    } catch (error) {
      faultOf(type, ['domains', name], error, issues);
    }
  }
  return domain['vm-type'] ?? defaults.vmType;
}

/** Lets each type look at all of its VMs together; what it finds are errors. */
export function reviewVmTypes(specs: readonly VmSpec[], { defaults }: PlanContext, issues: IssueList): void {
  for (const type of defaults.vmTypes) {
    const own = specs.filter((spec) => spec['vm-type'] === type.name);
    if (type.review === undefined || own.length === 0) continue;
    try {
      for (const { vm, message, hint } of type.review(structuredClone(own))) issues.error(['domains', vm], message, hint);
    } catch (error) {
      faultOf(type, ['domains'], error, issues);
    }
  }
}

function faultOf(type: VmTypePlugin, path: readonly string[], error: unknown, issues: IssueList): void {
  const cause = error instanceof Error ? error.message : String(error);
  issues.error(path, `VM type ${type.name} failed: ${cause}`, 'This is a bug in its plugin.');
}

/** The VM's spec as changed by its type. A fault of the type is an error at the VM, and leaves the spec unchanged. */
export function applyVmType(spec: VmSpec, context: PlanContext, issues: IssueList): VmSpec {
  const type = context.defaults.vmTypes.find((candidate) => candidate.name === spec['vm-type']);
  if (type === undefined || (type.artifacts === undefined && type.metadata === undefined && type.extend === undefined)) return spec;
  const artifacts = [...new Set([...(spec.artifacts ?? []), ...(type.artifacts ?? [])])];
  const completed: VmSpec = {
    ...spec,
    ...(artifacts.length === 0 ? {} : { artifacts }),
    metadata: { ...type.metadata, ...spec.metadata },
  };
  const problem = (message: string): VmSpec => {
    issues.error(['domains', spec.name], `VM type ${type.name} ${message}`, 'This is a bug in its plugin.');
    return spec;
  };
  let changes: Readonly<Record<string, unknown>>;
  try {
    // A copy: a plugin's writes must not reach the plan.
    changes = changesOf(type, structuredClone(completed));
  } catch (error) {
    return problem(`failed: ${error instanceof Error ? error.message : String(error)}`);
  }
  const decided = Object.keys(changes).find((key) => DECIDED.includes(key));
  if (decided !== undefined) return problem(`may not change ${decided}.`);
  const extended = VmSpec.safeParse({ ...completed, ...changes });
  if (extended.success) return extended.data;
  const [first] = extended.error.issues;
  return problem(`gives ${first?.path.join('.') ?? 'something'} a wrong value: ${first?.message ?? ''}`);
}

function changesOf(type: VmTypePlugin, spec: VmSpec): Readonly<Record<string, unknown>> {
  const changes: unknown = type.extend?.(spec) ?? {};
  if (typeof changes === 'object' && changes !== null && !Array.isArray(changes)) return changes as Record<string, unknown>;
  throw new Error('extend has to return a mapping of the keys to set.');
}
