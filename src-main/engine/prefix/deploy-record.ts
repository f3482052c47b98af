import { mkdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { z } from 'zod';
import { type ScriptRun, ScriptRun as ScriptRunSchema, type VmDeploy } from '../../../src-shared/deploy.ts';
import { EngineError } from '../../../src-shared/errors.ts';
import type { VmSpec } from '../../../src-shared/specs.ts';
import { isDead } from '../core/fault.ts';
import { diskError, readJson, writeJson } from '../core/files/json-file.ts';
import { readHolder } from '../core/lock.ts';
import { expandPrefixPath, type PrefixPaths } from './layout.ts';

/** Last run of a script, as recorded. */
const ScriptRecord = ScriptRunSchema.extend({
  /** Identifies its processes in the guest; null when it never ran. */
  run: z.string().nullable(),
  /** Its output, relative to the prefix; null when it never ran. */
  log: z.string().nullable(),
});
export type ScriptRecord = z.infer<typeof ScriptRecord>;

/** `lago-desktop-deploy.json`: how the last run of each deploy script went, by VM. */
const DeployRecord = z.object({ version: z.literal(1), vms: z.record(z.string(), z.array(ScriptRecord)) });
export type DeployRecord = z.infer<typeof DeployRecord>;

/** A deploy script in the prefix. */
export interface DeployScript {
  /** Name of its file, which is the path in the init file with `/` as `_`. */
  readonly name: string;
  readonly path: string;
}

/**
 * The deploy scripts of a VM in their order: `deploy-scripts` of its metadata, else `ovirt-scripts`. `input.invalid` for anything that is
 * not a path below `scripts/` of the prefix: other files must not reach a guest.
 */
export function deployScripts(paths: PrefixPaths, vm: VmSpec): readonly DeployScript[] {
  const listed = vm.metadata['deploy-scripts'];
  const given = Array.isArray(listed) && listed.length > 0 ? listed : vm.metadata['ovirt-scripts'];
  if (!Array.isArray(given)) return [];
  return given.map((entry: unknown) => {
    const path = typeof entry === 'string' ? resolve(paths.scripts, expandPrefixPath(entry, paths.root)) : '';
    if (dirname(path) === paths.scripts) return { name: basename(path), path };
    throw new EngineError('input.invalid', `Deploy script ${JSON.stringify(entry)} of ${vm.name} is not in ${paths.scripts}.`, {
      hint: `Copy it there and correct ${paths.vm(vm.name)}.`,
    });
  });
}

/** Whether a VM's definition uses the old name of `deploy-scripts`. */
export function usesOldName(vm: VmSpec): boolean {
  const old = vm.metadata['ovirt-scripts'];
  return Array.isArray(old) && old.length > 0;
}

/** Empty when nothing was ever deployed, and when the file is damaged: it tells only what was, and the next deploy writes it anew. */
export async function readDeployRecord(paths: PrefixPaths): Promise<DeployRecord> {
  const nothing: DeployRecord = { version: 1, vms: {} };
  try {
    return (await readJson(paths.deploy, DeployRecord)) ?? nothing;
  } catch (error) {
    if (error instanceof EngineError && error.code === 'input.invalid') return nothing;
    throw error;
  }
}

/** The scripts of a VM with their recorded runs; a script that was not there then has none. */
export function recordedScripts(record: DeployRecord, vm: string, scripts: readonly DeployScript[]): readonly ScriptRecord[] {
  return scripts.map(({ name }, index) => {
    const known = record.vms[vm]?.[index];
    return known?.name === name ? known : neverRun(name);
  });
}

/** The record of a script that is to run. */
export function neverRun(name: string): ScriptRecord {
  return { name, state: 'pending', code: null, startedAt: null, endedAt: null, run: null, log: null };
}

/** State of the deploy scripts of all VMs that have some, for views. VMs with a damaged list are left out: `deploy` reports it. */
export async function deployStates(paths: PrefixPaths, vms: readonly VmSpec[]): Promise<VmDeploy[]> {
  const lists = vms.flatMap((vm) => {
    try {
      return [{ vm: vm.name, scripts: deployScripts(paths, vm) }];
    } catch (error) {
      if (error instanceof EngineError) return [];
      throw error;
    }
  });
  const some = lists.filter(({ scripts }) => scripts.length > 0);
  if (some.length === 0) return [];
  const [record, holder] = await Promise.all([readDeployRecord(paths), readHolder(paths.deployLock)]);
  return some.map(({ vm, scripts }) => ({
    vm,
    scripts: recordedScripts(record, vm, scripts).map(({ name, state, code, startedAt, endedAt }): ScriptRun => {
      const interrupted = state === 'running' && holder === undefined;
      return { name, state: interrupted ? 'interrupted' : state, code, startedAt, endedAt };
    }),
  }));
}

/** Keeps the record while scripts run; one writer at a time (`deployLock`). Never recreates a folder that was removed: `prefix.missing`. */
export class DeployRecorder {
  readonly #paths: PrefixPaths;
  readonly #vms: Record<string, ScriptRecord[]>;
  #writing: Promise<void> = Promise.resolve();

  constructor(paths: PrefixPaths, record: DeployRecord) {
    this.#paths = paths;
    this.#vms = Object.fromEntries(Object.entries(record.vms).map(([vm, scripts]) => [vm, [...scripts]]));
  }

  /** Replaces the records of a VM's scripts; `save` writes them. */
  setAll(vm: string, scripts: readonly ScriptRecord[]): void {
    this.#vms[vm] = [...scripts];
  }

  /** Changes the record of one script, and writes it. */
  async set(vm: string, index: number, change: Partial<ScriptRecord>): Promise<void> {
    const known = this.#vms[vm]?.[index];
    if (known === undefined) throw new EngineError('internal', `Script ${index} of ${vm} is not in the record.`);
    this.setAll(vm, this.#vms[vm]?.with(index, { ...known, ...change }) ?? []);
    await this.save();
  }

  async save(): Promise<void> {
    const before = this.#writing;
    const write = async (): Promise<void> => {
      await before.catch(() => undefined); // its own caller gets that error
      // A killed process does not write either.
      if (!isDead()) await onPrefix(this.#paths, writeJson(this.#paths.deploy, { version: 1, vms: this.#vms } satisfies DeployRecord));
    };
    this.#writing = write();
    await this.#writing;
  }
}

/** Path of the log of a script, whose folder then exists. */
export async function deployLogPath(paths: PrefixPaths, vm: string, index: number, name: string): Promise<string> {
  const folder = join(paths.deployLogs, vm);
  for (const path of [paths.deployLogs, folder]) {
    // Not recursive, which would recreate a destroyed prefix.
    await onPrefix(paths, mkdir(path)).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw diskError(error, path);
    });
  }
  const safe = name.replace(/[^\w.-]/g, '_').slice(-80);
  return join(folder, `${String(index + 1).padStart(2, '0')}-${safe}.log`);
}

/** A log's path as the record has it. */
export function relativeLog(paths: PrefixPaths, log: string): string {
  return relative(paths.root, log);
}

/** The result of work on files of a prefix; `prefix.missing` when the prefix is gone. */
async function onPrefix<T>(paths: PrefixPaths, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new EngineError('prefix.missing', `The environment at ${paths.root} was removed meanwhile.`, { cause: error });
  }
}
