import { quote } from '../../../src-shared/init-file/name-rules.ts';
import type { InitFile } from '../../../src-shared/init-file/parse.ts';
import { nearest } from '../../../src-shared/nearest.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import type { IssueList } from './plan-context.ts';

type Ordered = Pick<VmSpec, 'name' | 'start-after'>;

/**
 * The VMs in the waves in which they are started: each after those of its `start-after` that are among them, otherwise in their own order.
 * Names that are not among them are ignored. VMs that wait for each other (which `init` refuses) come last, together.
 */
export function startWaves<T extends Ordered>(vms: readonly T[]): readonly (readonly T[])[] {
  const waves: (readonly T[])[] = [];
  let left = vms;
  while (left.length > 0) {
    const names = new Set(left.map((vm) => vm.name));
    const free = left.filter((vm) => !(vm['start-after'] ?? []).some((name) => names.has(name)));
    const wave = free.length === 0 ? left : free;
    waves.push(wave);
    left = left.filter((vm) => !wave.includes(vm));
  }
  return waves;
}

/** Reports names in `start-after` that no VM has, and VMs that wait for each other. */
export function checkStartOrder(init: InitFile, issues: IssueList): void {
  const after = new Map(init.domainNames.map((name) => [name, init.domains[name]?.['start-after'] ?? []]));
  for (const [name, others] of after) {
    for (const [index, other] of others.entries()) {
      if (after.has(other)) continue;
      const meant = nearest(other, init.domainNames);
      const hint = meant === undefined ? `VMs of this file: ${init.domainNames.slice(0, 10).join(', ')}.` : `Did you mean ${meant}?`;
      issues.error(['domains', name, 'start-after', index], `There is no VM ${quote(other)}.`, hint);
    }
  }
  const told = new Set<string>();
  for (const name of init.domainNames) {
    const cycle = told.has(name) ? undefined : cycleFrom(name, after);
    if (cycle === undefined) continue;
    for (const member of cycle) told.add(member);
    const text =
      cycle.length === 1
        ? `VM ${name} cannot be started after itself.`
        : `These VMs wait for each other: ${[...cycle, name].join(' after ')}.`;
    issues.error(['domains', name, 'start-after'], text, 'Leave out one of them.');
  }
}

/** The shortest way from a VM back to itself. */
function cycleFrom(start: string, after: ReadonlyMap<string, readonly string[]>): readonly string[] | undefined {
  const seen = new Set<string>();
  let ways: (readonly string[])[] = [[start]];
  while (ways.length > 0) {
    const next: (readonly string[])[] = [];
    for (const way of ways) {
      for (const name of after.get(way.at(-1) ?? '') ?? []) {
        if (name === start) return way;
        if (seen.has(name)) continue;
        seen.add(name);
        next.push([...way, name]);
      }
    }
    ways = next;
  }
  return undefined;
}
