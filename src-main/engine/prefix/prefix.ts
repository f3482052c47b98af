import { access, readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { HostChoice } from '../../../src-shared/host/host-choice.ts';
import { type EnvironmentSpecs, EnvSpec, NetSpec, VmSpec } from '../../../src-shared/specs.ts';
import { readJson, writeJson } from '../core/files/json-file.ts';
import { type PrefixPaths, prefixPaths } from './layout.ts';
import { type PrefixRecord, readRecord } from './record.ts';
import { isHalfMade } from './remains.ts';

/** A prefix as read from disk: the authoritative state that libvirt is made to match. */
export interface Prefix {
  readonly paths: PrefixPaths;
  readonly name: string;
  /** 32 hex digits. */
  readonly uuid: string;
  readonly initialized: boolean;
  readonly specs: EnvironmentSpecs;
  /** Absent when Lago itself made the prefix. */
  readonly record: PrefixRecord | undefined;
}

async function exists(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}

/** Host of a prefix: the one it was created for or, if made by Lago, the one in the settings. */
export function hostChoiceOf(prefix: Prefix, fallback: HostChoice): HostChoice {
  return prefix.record?.host ?? fallback;
}

/** `not-available` when the environment's disks are on another machine: `what` reads or changes them as files of this one. */
export function requireDisksHere(prefix: Prefix, what: string): void {
  const host = prefix.record?.host;
  if (host?.kind !== 'remote') return;
  throw new EngineError('not-available', `${what} is not possible: the disks of ${prefix.name} are on another machine (${host.uri}).`, {
    hint: 'See docs/remote-hosts.md for what works there.',
  });
}

/** Reads a prefix. `prefix.missing` when the folder is not one, `input.invalid` naming a damaged file. */
export async function readPrefix(root: string): Promise<Prefix> {
  const paths = prefixPaths(root);
  const uuid = await readUuid(paths);
  if (uuid === undefined && (await isHalfMade(root))) {
    throw new EngineError('prefix.missing', `The environment ${basename(root)} was not finished: its creation was interrupted.`, {
      hint: 'Create it again with "lago init", or remove it with "lago destroy".',
    });
  }
  if (uuid === undefined) {
    throw new EngineError('prefix.missing', `${root} is not a Lago prefix.`, {
      hint: 'Make one with "lago init", or name another with --workdir-path and --prefix-name.',
    });
  }
  const [record, initialized, specs] = await Promise.all([readRecord(paths.record), exists(paths.initialized), readSpecs(paths)]);
  return { paths, name: basename(root), uuid, initialized, specs, record };
}

/** Reads a prefix with damaged files, as far as needed to find and end its host. `undefined` without a uuid. */
export async function readPrefixWithoutSpecs(root: string): Promise<Prefix | undefined> {
  const paths = prefixPaths(root);
  const uuid = await readUuid(paths).catch(() => undefined);
  if (uuid === undefined) return undefined;
  const record = await readRecord(paths.record).catch(() => undefined);
  return { paths, name: basename(root), uuid, initialized: false, specs: { vms: [], nets: [] }, record };
}

async function readUuid(paths: PrefixPaths): Promise<string | undefined> {
  let text: string;
  try {
    text = (await readFile(paths.uuid, 'utf8')).trim();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
  if (!/^[0-9a-f]{32}$/i.test(text)) throw new EngineError('input.invalid', `${paths.uuid} does not hold a uuid.`);
  return text;
}

/** The saved definition; empty for a half-made prefix. */
export async function readSpecs(paths: PrefixPaths): Promise<EnvironmentSpecs> {
  const env = await readJson(paths.env, EnvSpec);
  if (env === undefined) return { vms: [], nets: [] };
  const [vms, nets] = await Promise.all([
    Promise.all(env.vms.map(async (name) => present(await readJson(paths.vm(name), VmSpec), paths.vm(name)))),
    Promise.all(env.nets.map(async (name) => present(await readJson(paths.net(name), NetSpec), paths.net(name)))),
  ]);
  return { vms, nets };
}

function present<T>(value: T | undefined, path: string): T {
  if (value !== undefined) return value;
  throw new EngineError('input.invalid', `${path} is missing, though ${dirname(path)}/env lists it.`);
}

/** Writes the whole definition in Lago's format; `virt/env` last, so that the old one stays readable after an interruption. */
export async function writeSpecs(paths: PrefixPaths, specs: EnvironmentSpecs): Promise<void> {
  await Promise.all([
    ...specs.nets.map(async (net) => await writeJson(paths.net(net.name), net)),
    ...specs.vms.map(async (vm) => await writeJson(paths.vm(vm.name), vm)),
  ]);
  await writeJson(paths.env, { nets: specs.nets.map((net) => net.name), vms: specs.vms.map((vm) => vm.name) });
}

/** The VM's spec; `vm.missing` listing the existing VMs. */
export function vmSpec(prefix: Prefix, name: string): VmSpec {
  const found = prefix.specs.vms.find((vm) => vm.name === name);
  if (found !== undefined) return found;
  throw new EngineError('vm.missing', `There is no VM "${name}" in ${prefix.name}.`, {
    hint: `It has: ${prefix.specs.vms.map((vm) => vm.name).join(', ')}.`,
  });
}

/** The VM's address on its management network; null when it has none (bridge networks). */
export function vmAddress(specs: EnvironmentSpecs, vm: VmSpec): string | null {
  const management = vm.mgmt_net ?? specs.nets.find((net) => net.management)?.name;
  const nic = vm.nics.find((candidate) => candidate.net === management);
  return nic?.ip ?? vm.nics.find((candidate) => candidate.ip !== undefined)?.ip ?? null;
}

export { domainName } from '../libvirt/names.ts';
