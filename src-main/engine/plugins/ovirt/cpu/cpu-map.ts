import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { parse } from 'yaml';
import { EngineError } from '../../../../../src-shared/errors.ts';
import type { VmSpec } from '../../../../../src-shared/specs.ts';
import type { VerbCall } from '../../contract.ts';
import type { FamilyMap } from './cpu-families.ts';

/** The key of metadata that replaces the built-in map: the map itself, or the name of a YAML file. */
const KEY = 'ovirt-cpu-map';

/** The map of a VM's own, undefined without one. `~` and variables are filled in; names are relative to the current folder, as in Lago. */
export async function ownMap(call: Pick<VerbCall, 'cwd' | 'environment'>, vm: VmSpec): Promise<FamilyMap | undefined> {
  const given = vm.metadata[KEY];
  if (given === undefined || given === null || given === '') return undefined;
  const what = `${KEY} of VM ${vm.name}`;
  if (typeof given !== 'string') return checked(given, what);
  const path = resolve(call.cwd, expanded(given, call.environment));
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new EngineError('input.missing-file', `${what}: ${path} cannot be read.`, { cause: error });
  }
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    const [reason = ''] = error instanceof Error ? error.message.split('\n') : [];
    throw new EngineError('input.invalid', `${what}: ${path} is not YAML: ${reason}`, { cause: error });
  }
  return checked(value, `${what} (${path})`);
}

function expanded(name: string, environment: VerbCall['environment']): string {
  return name
    .replace(/^~(?=\/|$)/, environment['HOME'] ?? homedir())
    .replace(/\$(?:\{(\w+)\}|(\w+))/g, (all, braced?: string, bare?: string) => environment[braced ?? bare ?? ''] ?? all);
}

function checked(value: unknown, what: string): FamilyMap {
  const isMapping = (one: unknown): one is Record<string, unknown> => typeof one === 'object' && one !== null && !Array.isArray(one);
  const right =
    isMapping(value) &&
    Object.values(value).every((models) => isMapping(models) && Object.values(models).every((family) => typeof family === 'string'));
  if (right) return value as FamilyMap;
  throw new EngineError('input.invalid', `${what} is no map of CPU families.`, {
    hint: 'It has to be VENDOR: {MODEL: FAMILY}, for example {Intel: {Westmere: Intel Westmere Family}}.',
  });
}
