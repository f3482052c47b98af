import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { Step } from '../core/operation.ts';
import { type Prefix, vmSpec } from '../prefix/prefix.ts';
import { isHosted } from '../runtime/foreign-vms.ts';
import { type RecipeContext, requireReady } from '../runtime/recipe.ts';
import type { HostSession } from '../runtime/session.ts';
import { statusOf } from '../snapshot/snapshot-parts.ts';

/** The named VMs, or all. `vm.missing` for an unknown name. */
export function namedVms(prefix: Prefix, names: readonly string[]): readonly VmSpec[] {
  return names.length === 0 ? prefix.specs.vms : names.map((name) => vmSpec(prefix, name));
}

/** VMs that are active in the libvirt of this session. */
export interface ActiveVms {
  readonly session: HostSession;
  readonly vms: readonly VmSpec[];
}

/**
 * Those of the VMs that are active in libvirt; all named ones must be (`vm.not-running`), and none of them may be run by another provider
 * (`not-available`). Undefined, which is logged, when none is.
 */
export async function activeHosted(
  context: RecipeContext,
  prefix: Prefix,
  names: readonly string[],
  step: Step,
): Promise<ActiveVms | undefined> {
  requireReady(prefix);
  const vms = namedVms(prefix, names);
  const foreign = names.length === 0 ? undefined : vms.find((vm) => !isHosted(context.plugins, vm));
  if (foreign !== undefined) {
    throw new EngineError('not-available', `${foreign.name} is not run by libvirt: it can be started and stopped, nothing else.`);
  }
  const session = await context.hosts.find(prefix, step.signal);
  const states = await Promise.all(
    vms.map(async (vm) => (session === undefined ? undefined : await statusOf(session, prefix, vm, step.signal))),
  );
  const off = vms.filter((_, index) => (states[index]?.id ?? -1) < 0);
  const [first] = off;
  if (names.length > 0 && first !== undefined) {
    throw new EngineError('vm.not-running', `${first.name} is off.`, { hint: `Start it with "lago start ${first.name}".` });
  }
  const active = vms.filter((vm) => !off.includes(vm));
  if (session !== undefined && active.length > 0) return { session, vms: active };
  step.log.info('No VM is running.');
  return undefined;
}
