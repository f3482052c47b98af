import { parseMachineAddress } from '../../src-shared/host/machine-address.ts';
import type { PrefixState } from '../../src-shared/state.ts';

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/** Why an environment cannot have this name in this workdir; undefined when it can. `current` is the name of Lago's link in a workdir. */
export function environmentNameProblem(name: string, workdir: string, prefixes: readonly PrefixState[]): string | undefined {
  if (name === '') return 'Give it a name';
  if (name === 'current') return '“current” is taken by Lago itself';
  if (!NAME.test(name)) return 'Letters, digits, “.”, “_” and “-” only, beginning with a letter or digit';
  if (prefixes.some((prefix) => prefix.name === name && prefix.workdir === workdir)) return `“${name}” exists in this workdir already`;
  return undefined;
}

/** Why a workdir cannot be used; undefined when it is worth trying. */
export function workdirProblem(workdir: string): string | undefined {
  if (workdir === '') return 'Say where';
  return workdir.startsWith('/') ? undefined : 'An absolute path';
}

/** Why this is not the address of a machine; undefined when it is one. */
export function machineProblem(address: string): string | undefined {
  return parseMachineAddress(address) === undefined ? 'Name the machine: ssh://user@machine' : undefined;
}
