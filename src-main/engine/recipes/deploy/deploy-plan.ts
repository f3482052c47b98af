import { EngineError } from '../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../src-shared/specs.ts';
import type { DeployInput } from '../../../../src-shared/verbs.ts';
import {
  type DeployRecord,
  type DeployScript,
  deployScripts,
  neverRun,
  recordedScripts,
  type ScriptRecord,
} from '../../prefix/deploy-record.ts';
import { type Prefix, vmSpec } from '../../prefix/prefix.ts';

/** The scripts that are to run in one VM. */
export interface VmRuns {
  readonly vm: VmSpec;
  readonly scripts: readonly DeployScript[];
  /** Index of the first that runs. */
  readonly first: number;
  /** Their records before it runs: earlier scripts keep theirs. */
  readonly records: readonly ScriptRecord[];
  /** Runs whose process was killed: their scripts may still run in the guest. */
  readonly interrupted: readonly string[];
}

/** What a deploy runs, and why VMs are left out. Pure apart from no file: `vm.missing`, `input.usage`, and the errors of `deployScripts`. */
export function planDeploy(
  prefix: Prefix,
  record: DeployRecord,
  input: DeployInput,
): { readonly runs: VmRuns[]; readonly notes: string[] } {
  const { vms: names = [], from, timeout } = input;
  if (timeout !== undefined && !(timeout > 0)) {
    throw new EngineError('input.usage', `The timeout of deploy scripts has to be more than 0 seconds, not ${timeout}.`);
  }
  const chosen = names.length === 0 ? prefix.specs.vms : [...new Set(names)].map((name) => vmSpec(prefix, name));
  const notes: string[] = [];
  const runs: VmRuns[] = [];
  let matched = false;
  for (const vm of chosen) {
    const scripts = deployScripts(prefix.paths, vm);
    const known = recordedScripts(record, vm.name, scripts);
    const first = firstOf(vm, scripts, known, from);
    if (scripts.length === 0) {
      if (names.length > 0) notes.push(`VM ${vm.name} has no deploy scripts.`);
    } else if (first === undefined) notes.push(leftOut(vm, from));
    else {
      matched = true;
      const records = known.map((one, index) => (index < first ? one : neverRun(one.name)));
      const interrupted = known.flatMap((one) => (one.state === 'running' && one.run !== null ? [one.run] : []));
      runs.push({ vm, scripts, first, records, interrupted });
    }
  }
  if (typeof from === 'string' && !matched) throw noSuchScript(prefix, chosen, from);
  if (runs.length === 0 && notes.length === 0) notes.push('No VM has deploy scripts.');
  return { runs, notes };
}

/** Undefined when the VM is left out. */
function firstOf(
  vm: VmSpec,
  scripts: readonly DeployScript[],
  known: readonly ScriptRecord[],
  from: DeployInput['from'],
): number | undefined {
  if (from === undefined) return 0;
  const found = from === true ? known.findIndex((one) => one.state !== 'ok') : find(vm, scripts, from);
  return found < 0 ? undefined : found;
}

/** By its whole name, else by the end of its name, else by its number. */
function find(vm: VmSpec, scripts: readonly DeployScript[], wanted: string): number {
  const exact = scripts.findIndex(({ name }) => name === wanted);
  if (exact >= 0 || wanted === '') return exact;
  const end = wanted.replaceAll('/', '_');
  const ending = scripts.filter(({ name }) => name.endsWith(end));
  const different = [...new Set(ending.map(({ name }) => name))];
  if (different.length > 1) {
    throw new EngineError('input.usage', `${vm.name} has several deploy scripts whose name ends in "${wanted}".`, {
      hint: `Name one of: ${different.join(', ')}.`,
    });
  }
  if (ending[0] !== undefined) return scripts.indexOf(ending[0]);
  const number = /^\d+$/.test(wanted) ? Number(wanted) : 0;
  return number >= 1 && number <= scripts.length ? number - 1 : -1;
}

function leftOut(vm: VmSpec, from: DeployInput['from']): string {
  if (from === true) return `All deploy scripts of ${vm.name} have succeeded; it is left alone.`;
  return `VM ${vm.name} has no deploy script "${String(from)}"; it is left alone.`;
}

function noSuchScript(prefix: Prefix, vms: readonly VmSpec[], wanted: string): EngineError {
  const names = new Set(vms.flatMap((vm) => deployScripts(prefix.paths, vm).map(({ name }) => name)));
  const isVm = prefix.specs.vms.some(({ name }) => name === wanted);
  return new EngineError('input.usage', `There is no deploy script "${wanted}".`, {
    hint: isVm
      ? `${wanted} is a VM. To go on where its deploy failed, use "lago deploy ${wanted} --from".`
      : names.size === 0
        ? 'These VMs have no deploy scripts.'
        : `There are: ${[...names].join(', ')}.`,
  });
}
